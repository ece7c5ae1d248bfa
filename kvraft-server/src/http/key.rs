//! `/key/{id}`: one entry, put, read or deleted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_MATCH, IF_NONE_MATCH, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use kvraft::{Entry, KeyRange, ReadOptions, Watch, WatchEvent, WatchOptions};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::body::{self, Limit};
use super::problem::Problem;
use super::query::Query;
use super::{App, accept, condition, etag, id, json};

/// How often a long poll looks whether the server is about to stop.
const TICK: Duration = Duration::from_millis(500);
/// The revision of a change that leaves no entry to carry it as an ETag.
const REVISION: HeaderName = HeaderName::from_static("kvraft-revision");

/// Gives a key the body as its value: 201 if it is new, 200 if it replaces one. `ttl` or `lease`
/// limit its life; `If-Match`, `If-None-Match: *` and `Idempotency-Key` are obeyed.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, payload) = request.into_parts();
    refuse_partial(&head.headers)?;
    let options = query.life(condition::conditional(&head, query.write_options()?)?)?;
    let key = id::key_of(head.uri.path())?;
    let map = app.map()?;
    let limit = Limit::of_value(map.max_value_bytes()?);
    let value = body::read(payload, limit, &app.body_kib).await?;
    let put = map.put_with(&key, &value.bytes, options).await?;
    let mut fields = Map::new();
    id::insert(&mut fields, "key", &key);
    fields.insert("revision".to_owned(), put.revision.into());
    let mut response = json(&Value::Object(fields));
    if !put.replaced {
        *response.status_mut() = StatusCode::CREATED;
    }
    response.headers_mut().insert(ETAG, etag(put.revision));
    Ok(response)
}

/// Reads a key: its value with its revisions, or with `?raw` the value alone. With `wait` and
/// `revision` it answers once the key is not at that revision any more; 304 if the time is over.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers();
    refuse_later(headers, &[IF_MATCH])?;
    let raw = query.switch("raw")? || accept::prefers_bytes(headers);
    let unchanged = IfNoneMatch::of(headers);
    let key = id::key_of(request.uri().path())?;
    let known = query.number("revision")?;
    let entry = match (query.wait()?, known) {
        (Some(wait), Some(known)) => {
            changed(&app, &key, known, wait, query.read_options()?).await?
        }
        (None, None) => app.map()?.get_with(&key, query.read_options()?).await?,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Problem::invalid("wait and revision go together: wait for a later one"));
        }
    };
    let mut response = match entry {
        None => Problem::absent().into_response(),
        Some(entry) => {
            let still = known == Some(entry.revision) || unchanged.holds(entry.revision);
            let mut response = if still {
                StatusCode::NOT_MODIFIED.into_response()
            } else if raw {
                bytes(entry.value)
            } else {
                json(&document(&entry))
            };
            response.headers_mut().insert(ETAG, etag(entry.revision));
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    // A cache may keep it, but has to ask whether it still holds.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Reads a key once its revision is not `known` any more (0: once it has a value), or `wait` is
/// over, or the server is about to stop.
async fn changed(
    app: &App,
    key: &[u8],
    known: u64,
    wait: Duration,
    options: ReadOptions,
) -> Result<Option<Entry>, Problem> {
    let (map, end) = (app.map()?, Instant::now() + wait);
    // Before the read, so that no change falls between.
    let mut watch = map.watch(KeyRange::key(key), WatchOptions::new()).await?;
    loop {
        let entry = map.get_with(key, options).await?;
        let same = entry.as_ref().map_or(0, |entry| entry.revision) == known;
        if !same || !news(app, &mut watch, known, end).await {
            return Ok(entry);
        }
    }
}

/// Waits until the watch tells something after `known`, or ends: what is told may be as old as the
/// node is behind. Returns whether it was in time.
async fn news(app: &App, watch: &mut Watch, known: u64, end: Instant) -> bool {
    while !app.is_draining() {
        let left = end.saturating_duration_since(Instant::now());
        match timeout(left.min(TICK), watch.next()).await {
            Ok(Some(Ok(WatchEvent::Changes { revision, .. }))) if revision <= known => {}
            // A watch that ends has missed changes: they are read like any other.
            Ok(_) => return true,
            Err(_) if left <= TICK => return false,
            Err(_) => {}
        }
    }
    false
}

/// Takes a key away: 204, or 404 if it had no value.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let options = condition::conditional(&head, query.write_options()?)?;
    let key = id::key_of(head.uri.path())?;
    let deleted = app.map()?.delete_with(&key, options).await?;
    if !deleted.existed {
        return Err(Problem::absent());
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(REVISION, deleted.revision.into());
    Ok(response)
}

/// An entry as JSON.
pub(crate) fn document(entry: &Entry) -> Value {
    Value::Object(fields(entry))
}

/// The fields of an entry in JSON.
pub(crate) fn fields(entry: &Entry) -> Map<String, Value> {
    let mut fields = Map::new();
    id::insert(&mut fields, "key", &entry.key);
    id::insert(&mut fields, "body", &entry.value);
    fields.insert("revision".to_owned(), entry.revision.into());
    fields.insert("created".to_owned(), entry.created.into());
    if let Some(lease) = entry.lease {
        fields.insert("lease".to_owned(), lease.to_string().into());
    }
    fields
}

fn bytes(value: axum::body::Bytes) -> Response {
    let mut response = Response::new(Body::from(value));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // A value is data: no browser may take it for a page.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn refuse_later(headers: &HeaderMap, later: &[HeaderName]) -> Result<(), Problem> {
    match later.iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(Problem::unsupported(&format!("header {name:?}"))),
        None => Ok(()),
    }
}

/// Refuses a body that is not the value itself: it would be stored as if it were.
fn refuse_partial(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(CONTENT_RANGE) {
        return Err(Problem::invalid("a value is put as a whole; leave content-range out"));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(Problem::invalid_as(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a value is stored as it comes; leave content-encoding out",
        )),
        _ => Ok(()),
    }
}

/// The revisions that the client already has.
pub(super) struct IfNoneMatch(Vec<String>);

impl IfNoneMatch {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines =
            headers.get_all(IF_NONE_MATCH).into_iter().filter_map(|line| line.to_str().ok());
        let tags = lines.flat_map(|line| line.split(',')).map(|tag| tag.trim().to_owned());
        Self(tags.collect())
    }

    /// Weak comparison, as RFC 9110 wants it here.
    pub(super) fn holds(&self, revision: u64) -> bool {
        let current = format!("\"{revision}\"");
        self.0.iter().any(|tag| tag == "*" || tag.trim_start_matches("W/") == current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_none_match_takes_lists_weak_tags_and_the_star() {
        let cases = [
            ("\"7\"", true),
            ("\"6\", W/\"7\"", true),
            ("*", true),
            ("\"77\"", false),
            ("7", false),
        ];
        for (tags, holds) in cases {
            let headers = HeaderMap::from_iter([(IF_NONE_MATCH, tags.parse().unwrap())]);
            assert_eq!(IfNoneMatch::of(&headers).holds(7), holds, "{tags}");
        }
    }

    #[test]
    fn a_coded_or_partial_body_is_refused() {
        let gzip = HeaderMap::from_iter([(CONTENT_ENCODING, "gzip".parse().unwrap())]);
        let part = HeaderMap::from_iter([(CONTENT_RANGE, "bytes 0-1/2".parse().unwrap())]);
        assert!(refuse_partial(&gzip).is_err());
        assert!(refuse_partial(&part).is_err());
        assert!(refuse_partial(&HeaderMap::new()).is_ok());
    }
}
