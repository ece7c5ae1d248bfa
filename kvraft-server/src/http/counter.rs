//! `/key/{id}/increment`: a counter.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::ETAG;
use axum::response::Response;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::query::Query;
use super::{App, body, condition, etag, id, json};

/// Adds `delta` (default 1) to the decimal number under a key; an absent key counts as 0.
pub(crate) async fn increment(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, payload) = request.into_parts();
    let query = Query::parse(head.uri.query(), &["timeout", "delta"], &[])?;
    let options = condition::conditional(&head.headers, query.write_options()?)?;
    body::refuse(payload).await?;
    let path = head.uri.path();
    let key = id::key_of(path.strip_suffix("/increment").unwrap_or(path))?;
    let delta = query.number("delta")?.unwrap_or(1);
    let counted = app.map()?.increment_with(&key, delta, options).await?;
    let mut fields = Map::new();
    id::insert(&mut fields, "key", &key);
    fields.insert("value".to_owned(), counted.value.into());
    fields.insert("revision".to_owned(), counted.revision.into());
    let mut response = json(&Value::Object(fields));
    response.headers_mut().insert(ETAG, etag(counted.revision));
    Ok(response)
}
