//! `/keys`: the keys in order, page by page.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use kvraft::{Entry, KeyRange, ScanOptions};
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::query::Query;
use super::{App, id, json as json_response, key};

/// Keys on a page whose size was not asked for.
const DEFAULT_LIMIT: usize = 1000;

/// Lists a page of keys, with `?values` their entries. A page is consistent in itself; its cursor
/// is the last key in base64url, and works on every node.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let known = ["prefix", "start", "end", "limit", "cursor", "values"];
    let query = Query::of_read(request.uri().query(), &known, &[])?;
    let limit = query.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    if limit == 0 {
        return Err(Problem::invalid("limit is 0; take at least 1"));
    }
    let values = query.switch("values")?;
    let options = ScanOptions::new().read(query.read_options()?).limit(limit);
    let options = if values { options } else { options.keys_only() };
    let page = app.map()?.page(range(&query)?, options).await?;
    let cursor = page.entries.last().filter(|_| page.more).map(|last| id::cursor(&last.key));
    let keys: Vec<_> = page.entries.iter().map(if values { key::document } else { bare }).collect();
    Ok(json_response(&json!({ "keys": keys, "cursor": cursor, "revision": page.revision })))
}

fn range(query: &Query) -> Result<KeyRange, Problem> {
    let mut range = query.bytes("prefix").map_or_else(KeyRange::all, KeyRange::prefix);
    if let Some(start) = query.bytes("start") {
        range = range.from(start);
    }
    if let Some(end) = query.bytes("end") {
        range = range.until(end);
    }
    if let Some(cursor) = query.bytes("cursor") {
        range = range.after(id::key_of_cursor(cursor)?);
    }
    Ok(range)
}

/// A key alone: a string if it is text.
fn bare(entry: &Entry) -> Value {
    let mut fields = Map::new();
    id::insert(&mut fields, "key", &entry.key);
    fields.remove("key").unwrap_or(Value::Object(fields))
}
