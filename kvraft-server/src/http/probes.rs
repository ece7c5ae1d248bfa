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

/// Whether requests should come here: recovered, with a leader, and not about to stop.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let map = app.map()?;
    alive(map)?;
    if app.is_draining() {
        return Err(Problem::of(ErrorKind::Unavailable, "this node is about to stop"));
    }
    if !map.status().ready {
        return Err(Problem::of(ErrorKind::Unavailable, "this node knows no leader yet"));
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
