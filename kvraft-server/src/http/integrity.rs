//! `/cluster/verify` and `/cluster/refill`: whether all members have the same state.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kvraft::MemberState;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{App, json as json_response};

/// Compares the states of all members: 200, whatever comes of it.
pub(crate) async fn verify(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let verification = app.map()?.verify().await?;
    Ok(json_response(&json!({
        "verdict": verification.verdict().name(),
        "revision": verification.revision,
        "diverged": verification.diverged().map(|member| &member.name).collect::<Vec<_>>(),
        "members": verification.members.iter().map(state).collect::<Vec<_>>(),
    })))
}

/// Has this very node fetch its state from another one: 204 when it is done.
pub(crate) async fn refill(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    app.map()?.refill().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn state(member: &MemberState) -> Value {
    json!({
        "name": member.name,
        "nodeID": member.node_id,
        "voter": member.voter,
        "stateHash": member.state_hash,
        "failure": member.failure,
    })
}
