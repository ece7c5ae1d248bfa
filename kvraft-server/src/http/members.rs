//! `/cluster`: the membership, looked at and changed. Any node takes these.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::problem::Problem;
use super::query::Query;
use super::status::member;
use super::{App, id, json as json_response};

const MEMBERS: &str = "/cluster/members/";

/// Lists the members as this node knows them.
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let status = app.map()?.status();
    Ok(json_response(&json!({
        "leaderID": status.leader.as_deref().unwrap_or_default(),
        "lastLog": status.last_log,
        "members": status.members.iter().map(member).collect::<Vec<_>>(),
    })))
}

/// Gives a learner its vote: 204.
pub(crate) async fn promote(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    app.map()?.promote(name_of(&request, "/promote")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes a voter its vote: 204.
pub(crate) async fn demote(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    app.map()?.demote(name_of(&request, "/demote")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lets a member go: 204.
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    app.map()?.remove_member(name_of(&request, "")?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Has another voter lead, the one named `to` or the closest: 204.
pub(crate) async fn transfer(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let to = query.bytes("to").map(String::from_utf8_lossy);
    app.map()?.transfer_leadership(to.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Lets voters go until `voters` are left: 204.
pub(crate) async fn shrink(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let voters = query
        .number("voters")?
        .ok_or_else(|| Problem::invalid("say how many voters stay, such as ?voters=3"))?;
    app.map()?.shrink(voters).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Reads the name in the path.
fn name_of(request: &Request, suffix: &str) -> Result<String, Problem> {
    let path = request.uri().path().strip_prefix(MEMBERS).unwrap_or_default();
    let name = id::decode(path.strip_suffix(suffix).unwrap_or(path))?;
    Ok(String::from_utf8_lossy(&name).into_owned())
}
