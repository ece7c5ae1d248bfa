//! `/watch`: changes as server-sent events, one a revision.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use kvraft::{Change, Error, KeyRange, Watch, WatchEvent, WatchOptions};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::problem::Problem;
use super::query::Query;
use super::{App, id, key};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How often a quiet watch looks whether the server is about to stop.
const TICK: Duration = Duration::from_millis(500);
/// Ticks after which a quiet watch sends a comment, so that proxies keep the connection.
const QUIET_TICKS: u32 = 30;

/// Watches the keys with a `prefix`, in `start`..`end`, or one `key`, from a revision `from` (or
/// after `Last-Event-ID`), with the entries before on `previous`; with `resync` all entries first
/// unless there is a revision to go on from, and again whenever changes were missed. The id of an
/// event is its revision; the beginning of a snapshot takes it back, so that a client that comes
/// back from the midst of one gets it whole.
pub(crate) async fn watch(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let ranged = ["prefix", "start", "end"].iter().any(|name| query.bytes(name).is_some());
    let range = match query.bytes("key") {
        Some(_) if ranged => {
            return Err(Problem::invalid("key excludes prefix, start and end; give one or others"));
        }
        Some(key) => KeyRange::key(key),
        None => query.range(),
    };
    let options = options(&query, request.headers())?;
    let place = app.watching()?;
    let watch = app.map()?.watch(range, options).await?;
    let told = stream::unfold(Some((app, watch, 0)), move |state| {
        // It lasts as long as the stream.
        let _place = &place;
        async {
            let (app, watch, quiet) = state?;
            next(app, watch, quiet).await
        }
    });
    let mut response = Response::new(Body::from_stream(told));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn options(query: &Query, headers: &HeaderMap) -> Result<WatchOptions, Problem> {
    let mut options = WatchOptions::new();
    let last = headers.get(LAST_EVENT_ID).filter(|id| !id.is_empty()).map(|id| {
        id.to_str().ok().and_then(|id| id.parse::<u64>().ok()).ok_or_else(|| {
            Problem::invalid("last-event-id is not the id of an event, which is a revision")
        })
    });
    // A client that comes back sends the same query again: where it was counts more.
    let last = last.transpose()?.map(|last| last.saturating_add(1));
    if let Some(from) = last.or(query.number("from")?) {
        options = options.from(from);
    }
    if query.switch("previous")? {
        options = options.previous();
    }
    if query.switch("resync")? {
        options = options.resync();
    }
    Ok(options)
}

type Watching = Option<(Arc<App>, Watch, u32)>;

/// Waits for the next thing to send; nothing more comes when the server stops.
async fn next(
    app: Arc<App>,
    mut watch: Watch,
    mut quiet: u32,
) -> Option<(Result<Bytes, Infallible>, Watching)> {
    loop {
        if app.is_draining() {
            return None;
        }
        let Ok(event) = timeout(TICK, watch.next()).await else {
            quiet += 1;
            if quiet < QUIET_TICKS {
                continue;
            }
            return Some((Ok(Bytes::from_static(b": quiet\n\n")), Some((app, watch, 0))));
        };
        return match event? {
            Ok(event) => Some((Ok(text(&event).into()), Some((app, watch, 0)))),
            Err(error) => Some((Ok(last_word(error).into()), None)),
        };
    }
}

/// An event in the form of server-sent events.
fn text(event: &WatchEvent) -> String {
    match event {
        WatchEvent::Changes { revision, changes } => {
            let changes: Vec<_> = changes.iter().map(change).collect();
            let data = json!({ "revision": revision, "changes": changes });
            sent(Id::Is(*revision), "changes", &data)
        }
        WatchEvent::SnapshotBegin { revision } => {
            sent(Id::TakenBack, "snapshot-begin", &json!({ "revision": revision }))
        }
        WatchEvent::SnapshotEntries(entries) => {
            let entries: Vec<_> = entries.iter().map(key::document).collect();
            sent(Id::AsBefore, "snapshot-entries", &json!({ "entries": entries }))
        }
        WatchEvent::SnapshotEnd { revision } => {
            sent(Id::Is(*revision), "snapshot-end", &json!({ "revision": revision }))
        }
        // A kind of event that this face does not know is told by its name alone.
        _ => sent(Id::AsBefore, "unknown", &json!({})),
    }
}

/// From where a client goes on if it comes back.
#[derive(Debug, Clone, Copy)]
enum Id {
    AsBefore,
    Is(u64),
    /// From nowhere: what it was told before does not count any more.
    TakenBack,
}

fn sent(id: Id, event: &str, data: &Value) -> String {
    let id = match id {
        Id::AsBefore => String::new(),
        Id::Is(revision) => format!("id: {revision}\n"),
        Id::TakenBack => "id:\n".to_owned(),
    };
    format!("{id}event: {event}\ndata: {data}\n\n")
}

fn change(change: &Change) -> Value {
    let mut fields = change.entry.as_ref().map(key::fields).unwrap_or_default();
    if change.entry.is_none() {
        id::insert(&mut fields, "key", &change.key);
        fields.insert("deleted".to_owned(), true.into());
    }
    if let Some(previous) = &change.previous {
        fields.insert("previous".to_owned(), key::document(previous));
    }
    Value::Object(fields)
}

/// Why a watch ends, as its last event.
fn last_word(error: Error) -> String {
    sent(Id::AsBefore, "error", &Problem::from(error).document())
}
