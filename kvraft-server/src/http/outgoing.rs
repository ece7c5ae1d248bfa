//! A large answer goes out in slices, within the room for such answers and in time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use kvraft::ErrorKind;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::problem::Problem;

/// Answers up to here need no room: there are at most as many as requests under way.
const SMALL: u64 = 64 << 10;
/// So much is given to the connection at a time, which keeps a few of them.
const SLICE: usize = 64 << 10;
/// A client that takes less than this a second is cut off, after the time that all have.
const LEAST_BYTES_PER_SECOND: u64 = 64 << 10;
/// The time that every answer has.
const TIME: Duration = Duration::from_secs(60);

/// Has large answers of reads wait for nothing and nobody: there is room for them, or the client
/// is told to come back. An answer to a write is not refused: the write is done.
pub(super) async fn bounded(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET;
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().filter(|size| *size > SMALL);
    let Some(size) = size.filter(|_| reads) else { return response };
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let Ok(room) = app.outgoing_kib.clone().try_acquire_many_owned(kib) else {
        let detail = "too many bytes are on their way from this node";
        return Problem::of(ErrorKind::Overloaded, detail).into_response();
    };
    let (head, body) = response.into_parts();
    match body.collect().await {
        Ok(whole) => Response::from_parts(head, Body::new(Slices::new(whole.to_bytes(), room))),
        Err(error) => Problem::of(ErrorKind::Internal, error.to_string()).into_response(),
    }
}

/// A body that gives up on a client that takes too little of it.
struct Slices {
    rest: Bytes,
    end: Instant,
    _room: OwnedSemaphorePermit,
}

impl Slices {
    fn new(whole: Bytes, room: OwnedSemaphorePermit) -> Self {
        let size = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let time = TIME + Duration::from_secs(size / LEAST_BYTES_PER_SECOND);
        Self { rest: whole, end: Instant::now() + time, _room: room }
    }
}

impl HttpBody for Slices {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.end {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        }
        let size = SLICE.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::{Router, middleware, routing};
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_large_answer_to_a_read_without_room_is_told_to_come_back_and_to_a_write_is_not() {
        let app = Arc::new(App::for_tests());
        let large = || async { vec![7_u8; 100_000] };
        let layer = middleware::from_fn_with_state(Arc::clone(&app), bounded);
        let routes = Router::new().route("/", routing::get(large).post(large)).layer(layer);
        let status = async |method: Method| {
            let request = Request::builder().method(method).body(Body::empty()).unwrap();
            TowerToHyperService::new(routes.clone()).call(request).await.unwrap().status()
        };
        assert_eq!(status(Method::GET).await, StatusCode::OK);
        let all = u32::try_from(app.outgoing_kib.available_permits()).unwrap();
        let held = app.outgoing_kib.clone().try_acquire_many_owned(all - 10).unwrap();
        assert_eq!(status(Method::GET).await, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(status(Method::POST).await, StatusCode::OK);
        drop(held);
        assert_eq!(status(Method::GET).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn a_large_answer_comes_whole_and_gives_its_room_back() {
        let room = Arc::new(Semaphore::new(1));
        let whole = Bytes::from(vec![7; 3 * SLICE + 1]);
        let permit = room.clone().try_acquire_owned().unwrap();
        let mut body = Slices::new(whole.clone(), permit);
        assert_eq!(body.size_hint().exact(), Some(whole.len() as u64));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), SLICE);
        assert_eq!(room.available_permits(), 0);
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!([first, rest].concat(), whole);
        assert_eq!(room.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_client_that_takes_too_little_is_cut_off() {
        let room = Arc::new(Semaphore::new(1));
        let permit = room.try_acquire_owned().unwrap();
        let mut body = Slices::new(Bytes::from_static(b"rest"), permit);
        body.end = Instant::now() - Duration::from_millis(1);
        assert!(body.frame().await.unwrap().is_err());
    }
}
