//! `/keys`: the keys in order, page by page.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use kvraft::{Entry, ScanOptions};
use serde_json::{Value, json};

use super::problem::Problem;
use super::query::Query;
use super::{App, condition, id, json as json_response, key};

/// Keys on a page whose size was not asked for.
const DEFAULT_LIMIT: usize = 1000;

/// Lists a page of keys, with `?values` their entries, with `?count` only how many there are. A page is consistent in itself; its cursor
/// is the last key in base64url, and works on every node.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    if query.switch("count")? {
        let paged = ["limit", "cursor", "values", "reverse"];
        if let Some(name) = paged.iter().find(|name| query.bytes(name).is_some()) {
            return Err(Problem::invalid(format!("{name} is of a page, and count gives none")));
        }
        let count = app.map()?.count(query.range(), query.read_options()?).await?;
        return Ok(json_response(&json!({ "count": count })));
    }
    let limit = query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 {
        return Err(Problem::invalid("limit is 0; take at least 1"));
    }
    let values = query.switch("values")?;
    let options = ScanOptions::new().read(query.read_options()?).limit(limit);
    let options = if values { options } else { options.keys_only() };
    let reverse = query.switch("reverse")?;
    let options = if reverse { options.reverse() } else { options };
    let mut range = query.range();
    if let Some(cursor) = query.bytes("cursor") {
        let last = id::key_of_cursor(cursor)?;
        // The next page lies on the other side of the last key.
        range = if reverse { range.until(last) } else { range.after(last) };
    }
    let page = app.map()?.page(range, options).await?;
    let cursor = page.entries.last().filter(|_| page.more).map(|last| id::cursor(&last.key));
    let keys: Vec<_> = page.entries.iter().map(if values { key::document } else { bare }).collect();
    Ok(json_response(&json!({ "keys": keys, "cursor": cursor, "revision": page.revision })))
}

/// Takes every key with a `prefix`, from `start` and up to `end` away, at once; the whole map only
/// if `all` says so.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    // An empty prefix or start bounds nothing: it may come from a variable that was never set.
    let bounded =
        ["prefix", "start"].iter().any(|name| query.bytes(name).is_some_and(|b| !b.is_empty()))
            || query.bytes("end").is_some();
    if bounded == query.switch("all")? {
        return Err(Problem::invalid("give a prefix, start or end, or all for the whole map"));
    }
    let options = condition::idempotent(&request.into_parts().0, query.write_options()?)?;
    let gone = app.map()?.delete_range(query.range(), options).await?;
    Ok(json_response(&json!({ "deleted": gone.deleted, "revision": gone.revision })))
}

/// A key alone: a string if it is text.
fn bare(entry: &Entry) -> Value {
    id::text_or_object("key", &entry.key)
}
