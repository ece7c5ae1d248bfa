//! The body of a request is read up to the largest value, and not a byte beyond.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kvraft::ErrorKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::Problem;

/// How long a client may take to send one value.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a refused body is still read, so that a client that writes before it reads gets to
/// see the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// A body, with its share of the room for bodies.
pub(crate) struct Value {
    pub(crate) bytes: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Reads a body of at most `limit` bytes, if `room_kib` has room for it.
pub(crate) async fn read(
    mut body: Body,
    limit: usize,
    room_kib: &Arc<Semaphore>,
) -> Result<Value, Problem> {
    let hint = body.size_hint();
    if hint.lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        discard(body).await;
        return Err(too_large(limit));
    }
    let most = hint.exact().and_then(|exact| usize::try_from(exact).ok()).unwrap_or(limit);
    let kib = u32::try_from(most.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = room_kib.clone().try_acquire_many_owned(kib).map_err(|_| {
        Problem::of(ErrorKind::Overloaded, "too many bytes are on their way to this node")
    })?;
    match timeout(READ_TIMEOUT, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(Value { bytes: collected.to_bytes(), _room: room }),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(limit))
        }
        Ok(Err(error)) => Err(Problem::invalid(format!("the body could not be read: {error}"))),
        Err(_) => Err(Problem::too_slow(format!(
            "the body did not come within {} s; nothing was done",
            READ_TIMEOUT.as_secs()
        ))),
    }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the value has more than max_value_bytes, {limit}; split it");
    Problem::invalid_as(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Reads on for a moment without keeping anything.
async fn discard(mut body: Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // The answer is ready either way.
    drop(timeout(DISCARD_TIMEOUT, rest).await);
}
