//! `/leases`: granted, kept alive, looked at, revoked.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kvraft::LeaseId;
use serde_json::{Value, json};

use super::problem::Problem;
use super::query::Query;
use super::{App, id, json as json_response};

/// Grants a lease for `ttl`, which only keep-alives keep: 201 with its id.
pub(crate) async fn grant(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let ttl = query
        .duration("ttl")?
        .ok_or_else(|| Problem::invalid("a lease needs a ttl, such as ?ttl=10s"))?;
    let lease = app.map()?.grant_lease(ttl).await?;
    let mut response = json_response(&json!({ "lease": lease.to_string() }));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Begins the time to live of a lease anew: 204.
pub(crate) async fn keep_alive(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let path = request.uri().path();
    let lease = lease_of(path.strip_suffix("/keep-alive").unwrap_or(path))?;
    app.map()?.keep_alive(lease).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Says how long a lease has left in milliseconds, and which keys end with it.
pub(crate) async fn info(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let lease = lease_of(request.uri().path())?;
    let info = app.map()?.lease_info(lease, query.read_options()?).await?;
    let keys: Vec<_> = info.keys.iter().map(|key| id::text_or_object("key", key)).collect();
    Ok(json_response(&json!({
        "lease": info.id.to_string(),
        "ttl_ms": millis(info.ttl),
        "remaining_ms": millis(info.remaining),
        "keys": keys,
    })))
}

/// Ends a lease with its keys and locks: 204.
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    app.map()?.revoke_lease(lease_of(request.uri().path())?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn lease_of(path: &str) -> Result<LeaseId, Problem> {
    Ok(path.strip_prefix("/leases/").unwrap_or_default().parse()?)
}

fn millis(duration: std::time::Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}
