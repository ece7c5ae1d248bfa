//! `/locks/{name}`: taken for a lease, and given back.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use kvraft::LeaseId;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::query::Query;
use super::{App, id, json};

/// Takes a lock for a `lease`, or for a new one with a `ttl`, and answers with the fencing token;
/// 409 if it is held. Waits for it for `wait`, by default not at all; a server that stops ends the
/// wait with 503, and gives the place in the queue back.
///
/// The lease has to be kept alive for as long as the lock is held. A holder gets its token again.
pub(crate) async fn lock(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name_of(request.uri().path())?;
    let wait = query.wait()?.unwrap_or_default();
    let map = app.map()?;
    let (lease, own) = match (query.lease()?, query.duration("ttl")?) {
        (Some(lease), None) => (lease, false),
        (None, Some(ttl)) if wait >= ttl => {
            return Err(Problem::invalid(
                "a ttl must be longer than the wait, during which it runs",
            ));
        }
        (None, Some(ttl)) => (map.grant_lease(ttl).await?, true),
        (None, None) | (Some(_), Some(_)) => {
            return Err(Problem::invalid("a lock is taken for a lease, or for a ttl: give one"));
        }
    };
    match map.acquire_unless(&name, lease, wait, app.drained()).await {
        Ok(token) => Ok(json(&document(&name, lease, token))),
        Err(error) => {
            if own && let Err(error) = map.revoke_lease(lease).await {
                tracing::debug!(%lease, %error, "the lease of a lock that was not taken ends by its time");
            }
            Err(error.into())
        }
    }
}

/// Gives a lock back, or the place in its queue, that a `lease` has: 204.
pub(crate) async fn unlock(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let name = name_of(request.uri().path())?;
    let lease =
        query.lease()?.ok_or_else(|| Problem::invalid("a lock is given back by its lease"))?;
    app.map()?.release(&name, lease).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn document(name: &[u8], lease: LeaseId, token: u64) -> Value {
    let mut fields = Map::new();
    id::insert(&mut fields, "name", name);
    fields.insert("lease".to_owned(), lease.to_string().into());
    fields.insert("token".to_owned(), token.into());
    Value::Object(fields)
}

fn name_of(path: &str) -> Result<Vec<u8>, Problem> {
    id::decode(path.strip_prefix("/locks/").unwrap_or_default())
}
