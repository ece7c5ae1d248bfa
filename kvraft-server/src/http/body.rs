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

/// How many bytes a body may have, and what a longer one is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    bytes: usize,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Value,
    Transaction { max_command_bytes: usize },
}

impl Limit {
    /// A body that is a value.
    pub(crate) const fn of_value(max_value_bytes: usize) -> Self {
        Self { bytes: max_value_bytes, what: What::Value }
    }

    /// A body that is a transaction in JSON, which may make two bytes of one.
    pub(crate) const fn of_transaction(max_command_bytes: usize) -> Self {
        let bytes = max_command_bytes.saturating_mul(2);
        Self { bytes, what: What::Transaction { max_command_bytes } }
    }

    fn exceeded(self) -> Problem {
        let bytes = self.bytes;
        let detail = match self.what {
            What::Value => format!("the value has more than max_value_bytes, {bytes}; split it"),
            What::Transaction { max_command_bytes } => format!(
                "the transaction has more than {bytes} bytes, which is twice max_command_bytes, \
                 {max_command_bytes}; split it"
            ),
        };
        Problem::invalid_as(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
}

/// Reads a body within its limit, if `room_kib` has room for it.
pub(crate) async fn read(
    mut body: Body,
    limit: Limit,
    room_kib: &Arc<Semaphore>,
) -> Result<Value, Problem> {
    let hint = body.size_hint();
    if hint.lower() > u64::try_from(limit.bytes).unwrap_or(u64::MAX) {
        discard(&mut body).await;
        return Err(limit.exceeded());
    }
    let most = hint.exact().and_then(|exact| usize::try_from(exact).ok()).unwrap_or(limit.bytes);
    let kib = u32::try_from(most.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = room_kib.clone().try_acquire_many_owned(kib).map_err(|_| {
        Problem::of(ErrorKind::Overloaded, "too many bytes are on their way to this node")
    })?;
    match timeout(READ_TIMEOUT, Limited::new(&mut body, limit.bytes).collect()).await {
        Ok(Ok(collected)) => Ok(Value { bytes: collected.to_bytes(), _room: room }),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(limit.exceeded())
        }
        Ok(Err(error)) => Err(Problem::invalid(format!("the body could not be read: {error}"))),
        Err(_) => Err(Problem::too_slow(format!(
            "the body did not come within {} s; nothing was done",
            READ_TIMEOUT.as_secs()
        ))),
    }
}

/// Refuses a body where none is taken: what it says would be ignored.
pub(crate) async fn refuse(mut body: Body) -> Result<(), Problem> {
    let empty = Limited::new(&mut body, 0).collect();
    if matches!(timeout(DISCARD_TIMEOUT, empty).await, Ok(Ok(_))) {
        return Ok(());
    }
    discard(&mut body).await;
    Err(Problem::invalid("this request takes no body; say it in the query, and leave the body out"))
}

/// Reads on for a moment without keeping anything.
pub(super) async fn discard(body: &mut Body) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // The answer is ready either way.
    drop(timeout(DISCARD_TIMEOUT, rest).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(body: Body, limit: usize, room_kib: usize) -> u64 {
        let room = Arc::new(Semaphore::new(room_kib));
        let answer = read(body, Limit::of_value(limit), &room).await.map(drop);
        answer.map_or_else(|problem| problem.document()["status"].as_u64().unwrap(), |()| 200)
    }

    fn chunked(chunks: &'static [&'static str]) -> Body {
        let frames = chunks.iter().map(|chunk| Ok::<_, std::io::Error>(Bytes::from(*chunk)));
        Body::from_stream(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_ends_at_the_limit_with_and_without_a_length() {
        assert_eq!(status(Body::from("1234"), 4, 9).await, 200);
        assert_eq!(status(Body::from("12345"), 4, 9).await, 413);
        assert_eq!(status(chunked(&["12", "34"]), 4, 9).await, 200);
        assert_eq!(status(chunked(&["12", "345", "6"]), 4, 9).await, 413);
    }

    #[tokio::test]
    async fn a_body_without_room_is_told_to_come_back() {
        assert_eq!(status(Body::from("1234"), 1 << 20, 0).await, 429);
        assert_eq!(
            status(chunked(&["1234"]), 1 << 20, 9).await,
            429,
            "it may be as long as the limit"
        );
        assert_eq!(status(Body::empty(), 1 << 20, 0).await, 200, "an empty one needs none");
    }

    #[tokio::test]
    async fn a_body_where_none_is_taken_is_refused() {
        assert!(refuse(Body::empty()).await.is_ok());
        assert!(refuse(chunked(&[])).await.is_ok());
        assert!(refuse(Body::from("5")).await.is_err());
        assert!(refuse(chunked(&["", "5"])).await.is_err());
    }

    #[tokio::test]
    async fn room_comes_back_with_the_value() {
        let room = Arc::new(Semaphore::new(2));
        let value = read(Body::from("1234"), Limit::of_value(1024), &room).await.ok().unwrap();
        assert_eq!(value.bytes, "1234");
        assert_eq!(room.available_permits(), 1);
        drop(value);
        assert_eq!(room.available_permits(), 2);
    }
}
