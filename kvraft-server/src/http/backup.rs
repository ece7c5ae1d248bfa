//! `/backup`: the whole map of one moment, as a stream of bytes.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, HeaderValue};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use kvraft::{Backup, Bytes};

use super::App;
use super::problem::Problem;
use super::query::Query;

/// Gives a backup of a moment that is as fresh as `consistency` and `min_revision` ask for. A body
/// that breaks off is not ended in the form that HTTP has for it, and has no end of a backup: a
/// client can see both.
pub(crate) async fn backup(
    State(app): State<Arc<App>>,
    Extension(query): Extension<Query>,
) -> Result<Response, Problem> {
    let backup = app.map()?.backup_with(query.read_options()?).await?;
    tracing::info!(revision = backup.info().revision, "a backup has begun");
    let revision = super::etag(backup.info().revision);
    let chunks = stream::unfold(Some((app, backup)), |state| async {
        let (app, backup) = state?;
        next(app, backup).await
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"kvraft.backup\""),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ETAG, revision);
    Ok(response)
}

type Begun = Option<(Arc<App>, Backup)>;

/// Waits for the next chunk; an error breaks the body off, and so does a server that stops.
async fn next(app: Arc<App>, mut backup: Backup) -> Option<(io::Result<Bytes>, Begun)> {
    tokio::select! {
        chunk = backup.next() => match chunk? {
            Ok(chunk) => Some((Ok(chunk), Some((app, backup)))),
            Err(error) => {
                tracing::warn!(%error, "a backup broke off");
                Some((Err(io::Error::other(error)), None))
            }
        },
        () = app.drained() => {
            tracing::info!("a backup broke off, as this server stops");
            Some((Err(io::ErrorKind::ConnectionAborted.into()), None))
        }
    }
}
