//! The table of paths.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing;

use super::problem::Problem;
use super::{
    App, backup, body, counter, integrity, key, keys, leases, locks, members, probes, status, txn,
    watch,
};

/// The whole interface.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let key = routing::get(key::get).put(key::put).delete(key::delete);
    Router::new()
        .route("/key/{id}", key.clone())
        // An empty key is refused as a key, not as a path.
        .route("/key/", key.clone())
        .route("/key", key)
        .route("/key/{id}/increment", routing::post(counter::increment))
        .route("/keys", routing::get(keys::list).delete(keys::delete))
        .route("/txn", routing::post(txn::txn))
        .route("/watch", routing::get(watch::watch))
        .route("/leases", routing::post(leases::grant))
        .route("/leases/{id}", routing::get(leases::info).delete(leases::revoke))
        .route("/leases/{id}/keep-alive", routing::post(leases::keep_alive))
        .route("/locks/{name}", routing::post(locks::lock).delete(locks::unlock))
        .route("/cluster/members", routing::get(members::list))
        .route("/cluster/members/{name}", routing::delete(members::remove))
        .route("/cluster/members/{name}/promote", routing::post(members::promote))
        .route("/cluster/members/{name}/demote", routing::post(members::demote))
        .route("/cluster/transfer", routing::post(members::transfer))
        .route("/cluster/shrink", routing::post(members::shrink))
        .route("/cluster/verify", routing::post(integrity::verify))
        .route("/cluster/refill", routing::post(integrity::refill))
        .route("/backup", routing::get(backup::backup))
        .route("/status", routing::get(status::status))
        .merge(probe_routes())
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(without_body))
        .layer(middleware::from_fn(logged))
        .with_state(app)
}

/// What may stand on a port of its own, for those who may not read the map.
pub(crate) fn health_routes(app: Arc<App>) -> Router {
    probe_routes()
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(app)
}

fn probe_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/livez", routing::get(probes::livez))
        .route("/readyz", routing::get(probes::readyz))
        .route("/healthz", routing::get(probes::readyz))
}

async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path();
    if path.starts_with("/key/") {
        return Problem::no_such_path(format!("{path}: a slash inside a key is written %2F"));
    }
    Problem::no_such_path(format!(
        "{path}: take /key/{{id}}, /keys, /txn, /watch, /leases, /locks/{{name}}, /cluster/members, /backup, /status, /livez or /readyz"
    ))
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    Problem::method_not_allowed(detail)
}

/// Refuses a body with methods that take none on any path: what it says would be ignored.
async fn without_body(request: Request, next: Next) -> Response {
    let takes_none = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
    if !takes_none || request.body().is_end_stream() {
        return next.run(request).await;
    }
    match body::refuse(request.into_body()).await {
        // It was announced, and empty.
        Ok(()) => Problem::invalid("leave the body out, and what announces one").into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// Writes one line a request. The path names a key, so that it stays below the usual level.
async fn logged(request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, elapsed = ?begin.elapsed(), "request");
    response
}
