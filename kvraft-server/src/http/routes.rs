//! The routes, made of the table of endpoints.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::endpoint::Endpoint;
use super::endpoints::{self, HEALTH};
use super::guard::{Door, Guard, guard};
use super::problem::Problem;
use super::{App, outgoing};
use crate::traces::TARGET;

/// The path of a key, of which an empty one is refused as a key, not as a path.
const KEY: &str = "/key/{id}";

/// The whole interface.
pub(crate) fn routes(app: Arc<App>) -> Router {
    let routes = endpoints::all().fold(Router::new(), |routes, endpoint| {
        let routes = routes.route(endpoint.path, guarded(&app, endpoint, Door::Main));
        if endpoint.path != KEY {
            return routes;
        }
        let empty = || guarded(&app, endpoint, Door::Main);
        routes.route("/key/", empty()).route("/key", empty())
    });
    finished(routes, app)
}

/// What may stand on a port of its own, for those who may not read the map.
pub(crate) fn health_routes(app: Arc<App>) -> Router {
    let routes = HEALTH.iter().fold(Router::new(), |routes, endpoint| {
        routes.route(endpoint.path, guarded(&app, endpoint, Door::Health))
    });
    finished(routes, app)
}

fn guarded(
    app: &Arc<App>,
    endpoint: &'static Endpoint,
    door: Door,
) -> axum::routing::MethodRouter<Arc<App>> {
    let state = Guard { app: Arc::clone(app), endpoint, door };
    (endpoint.handler)().route_layer(middleware::from_fn_with_state(state, guard))
}

fn finished(routes: Router<Arc<App>>, app: Arc<App>) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), outgoing::bounded))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), counted))
        .with_state(app)
}

async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path();
    if path.starts_with("/key/") {
        return Problem::no_such_path(format!("{path}: a slash inside a key is written %2F"));
    }
    Problem::no_such_path(format!("{path}: /openapi.json lists all paths"))
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    Problem::method_not_allowed(detail)
}

/// Counts a request, and writes one line. The path names a key, so that it stays below the usual
/// level; headers and the query may hold what is nobody's business.
async fn counted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let _under_way = app.traffic.begin();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = span(&request);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status().as_u16(), begin.elapsed());
    let endpoint = response.extensions().get::<&'static Endpoint>();
    let route = endpoint.map(|endpoint| (endpoint.method.as_str(), endpoint.path));
    let (known_method, route) = route.unwrap_or(("other", "other"));
    app.traffic.note((known_method, route), status, elapsed);
    span.record("method", known_method).record("route", route).record("status", u64::from(status));
    tracing::debug!(%method, path, status, ?elapsed, "request");
    response
}

/// The span of a request, if anybody wants to know of it. The path is left out, as it names a key.
fn span(request: &Request) -> Span {
    let header = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    tracing::debug_span!(
        target: TARGET,
        "request",
        traceparent = header.unwrap_or_default(),
        method = Empty,
        route = Empty,
        status = Empty,
    )
}
