//! `/key/{id}/increment`: a counter.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::header::ETAG;
use axum::response::Response;
use serde_json::{Map, Value};

use super::problem::Problem;
use super::query::Query;
use super::{App, condition, etag, id, json};

/// Adds `delta` (default 1) to the decimal number under a key; an absent key counts as 0.
pub(crate) async fn increment(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, _) = request.into_parts();
    let options = condition::conditional(&head, query.write_options()?)?;
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
