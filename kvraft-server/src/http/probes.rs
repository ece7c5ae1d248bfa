//! `/livez` and its siblings: short answers for those who watch over the process.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use kvraft::ErrorKind;

use super::App;
use super::problem::Problem;

/// Whether a restart would not help: true while the node recovers, and without a leader.
pub(crate) async fn livez(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    if let Some(map) = app.map.get() {
        alive(map)?;
    }
    Ok(ok())
}

/// A node that has not applied so many entries of those that it knows to be committed is behind:
/// its linearizable reads would wait. A loaded node is some hundred behind at any moment.
const MAX_LAG: u64 = 10_000;

/// Whether requests should come here: recovered, not about to stop, not far behind, with a leader
/// that was heard of lately.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let map = app.map()?;
    alive(map)?;
    if app.is_draining() {
        return Err(Problem::of(ErrorKind::Unavailable, "this node is about to stop"));
    }
    let status = map.status();
    if !status.ready {
        return Err(Problem::of(ErrorKind::Unavailable, "this node knows no leader yet"));
    }
    let lag = status.committed.saturating_sub(status.applied);
    if lag > MAX_LAG {
        let detail = format!("this node is {lag} entries behind");
        return Err(Problem::of(ErrorKind::Unavailable, detail));
    }
    Ok(ok())
}

fn alive(map: &kvraft::ReplicatedMap) -> Result<(), Problem> {
    map.status().failure.map_or(Ok(()), |error| Err(error.into()))
}

fn ok() -> Response {
    let mut response = "ok\n".into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
