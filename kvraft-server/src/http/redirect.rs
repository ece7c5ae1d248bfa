//! Whether a request is answered here, or its client sent to the leader.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use kvraft::{Consistency, ErrorKind, Status};

use super::App;
use super::endpoint::Asks;
use super::problem::Problem;
use super::query::Query;
use crate::settings::FollowerMode;

/// The answer that sends a client to the leader, if this is not the node to ask. A leader that
/// says no address for HTTP is asked by this node, as it always is without this mode.
pub(super) fn elsewhere(
    app: &App,
    asks: Asks,
    query: &Query,
    uri: &Uri,
) -> Result<Option<Response>, Problem> {
    if app.follower_mode == FollowerMode::Forward || !asks_leader(app, asks, query)? {
        return Ok(None);
    }
    let status = app.map()?.status();
    let Some(leader) = leader_of(&status)? else { return Ok(None) };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = format!("{}{path}", leader.trim_end_matches('/'));
    let Ok(location) = HeaderValue::try_from(location) else { return Ok(None) };
    let mut response = Response::new(Body::empty());
    // The method and the body stay, and another leader may be another day's.
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(Some(response))
}

fn asks_leader(app: &App, asks: Asks, query: &Query) -> Result<bool, Problem> {
    Ok(match asks {
        Asks::Node => false,
        Asks::Leader => true,
        Asks::LeaderUnlessSaid => {
            query.consistency()?.unwrap_or(app.consistency) == Consistency::Linearizable
        }
    })
}

/// Where the leader is reached by HTTP, if it is another node that says so.
fn leader_of(status: &Status) -> Result<Option<&str>, Problem> {
    if status.is_leader() {
        return Ok(None);
    }
    if status.leader.is_none() {
        return Err(Problem::of(ErrorKind::Unavailable, "there is no leader now"));
    }
    Ok(status.leader_http.as_deref().filter(|url| !url.is_empty()))
}
