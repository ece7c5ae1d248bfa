//! A `Connection` speaks HTTP with one client until one of them is done.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::Request;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::paced::{Paced, STALL};
use super::prefixed::Prefixed;

/// Longest head of a request. The longest path has some 1,600 bytes; what proxies add is longer.
const MAX_HEAD_BYTES: u32 = 32 << 10;
/// Requests at a time on one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;
/// How often a client of HTTP/2 whose requests wait has to show that it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection of HTTP/2 that has to end takes so long at least: its last answer may be on its way.
const LEAST_CLOSING: Duration = Duration::from_secs(2);

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// What a connection needs to know.
pub(super) struct Connection {
    pub(super) router: Router,
    pub(super) peer: IpAddr,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// How long the client may take to send the head of a request, and may stay without one.
    pub(super) head_timeout: Duration,
    pub(super) stop: watch::Receiver<bool>,
}

impl Connection {
    /// Serves the client to its end, or until the server stops and its requests are done.
    pub(super) async fn serve(self, stream: TcpStream) -> Result<()> {
        // Answers are small; waiting to fill a packet would only delay them.
        stream.set_nodelay(true)?;
        let stream = Paced::new(stream, STALL);
        let Some(config) = self.tls.clone() else {
            let Some(first) = self.in_time(Prefixed::read(stream)).await? else { return Ok(()) };
            let Some(stream) = first else { return Ok(()) };
            let http2 = stream.is_http2();
            return self.speak(stream, http2).await;
        };
        let accepted = self.in_time(TlsAcceptor::from(config).accept(stream)).await;
        let Some(stream) = accepted.context("TLS")? else { return Ok(()) };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.speak(stream, http2).await
    }

    /// What has to come before the first request; `None` if the server stops.
    async fn in_time<T>(&self, first: impl Future<Output = io::Result<T>>) -> Result<Option<T>> {
        let mut stop = self.stop.clone();
        tokio::select! {
            first = timeout(self.head_timeout, first) => match first {
                Ok(first) => Ok(Some(first?)),
                Err(_) => Err(anyhow!("the client was too slow")),
            },
            _ = stop.wait_for(|stop| *stop) => Ok(None),
        }
    }

    async fn speak<S>(self, stream: S, http2: bool) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, peer, head_timeout, stop, .. } = self;
        let (count, under_way) = watch::channel(0);
        let router = TowerToHyperService::new(router);
        let service = service_fn(move |request: Request<Incoming>| {
            let begun = UnderWay::begin(&count);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let answer = router.call(request);
            async move {
                let response: Response = answer.await?;
                Ok::<_, Infallible>(response.map(|body| Body::new(Held { body, _begun: begun })))
            }
        });
        let stream = TokioIo::new(stream);
        if http2 {
            let connection = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_header_list_size(MAX_HEAD_BYTES)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(stream, service);
            let closing = head_timeout.max(LEAST_CLOSING);
            return drive(connection, under_way, (head_timeout, closing), stop).await;
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(head_timeout)
            .max_header_size(MAX_HEAD_BYTES as usize)
            .serve_connection(stream, service);
        // One of HTTP/1.1 knows by itself when its client is too slow.
        drive(connection, under_way, (head_timeout, STALL), stop).await
    }
}

/// Runs a connection to its end. One that has nothing to do for `patience`, or whose server stops,
/// takes no further request; what is under way is finished, and the rest has the time of `closing`.
async fn drive<C>(
    connection: C,
    mut under_way: watch::Receiver<usize>,
    (patience, closing): (Duration, Duration),
    mut stop: watch::Receiver<bool>,
) -> Result<()>
where
    C: GracefulConnection<Error = hyper::Error>,
{
    let mut connection = pin!(connection);
    tokio::select! {
        done = connection.as_mut() => return Ok(done?),
        () = idle(&mut under_way, patience) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        done = connection.as_mut() => Ok(done?),
        // Half a request that never comes whole; the last answer had the time to be taken.
        () = idle(&mut under_way, closing) => Err(anyhow!("the client sent half a request")),
    }
}

/// Returns once no request was under way for as long as `patience`.
async fn idle(under_way: &mut watch::Receiver<usize>, patience: Duration) {
    loop {
        if under_way.wait_for(|count| *count == 0).await.is_err() {
            // The service is gone, and the connection with it.
            return pending().await;
        }
        tokio::select! {
            changed = under_way.changed() => if changed.is_err() { return pending().await },
            () = sleep(patience) => return,
        }
    }
}

/// A request from its head to the end of its answer.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A body whose request is under way until it was sent.
struct Held {
    body: Body,
    _begun: UnderWay,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_while_nothing_is_under_way() {
        let (count, mut under_way) = watch::channel(0);
        let (one, other) = (UnderWay::begin(&count), UnderWay::begin(&count));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut idle = pin!(idle(&mut under_way, Duration::ZERO));
        assert!(idle.as_mut().poll(&mut cx).is_pending());
        drop(one);
        assert!(idle.as_mut().poll(&mut cx).is_pending());
        drop(other);
        idle.await;
    }

    #[tokio::test]
    async fn a_request_of_no_length_is_noticed_all_the_same() {
        let (count, mut under_way) = watch::channel(0);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut waits = pin!(idle(&mut under_way, STALL));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        drop(UnderWay::begin(&count));
        assert!(waits.as_mut().poll(&mut cx).is_pending());
        drop(count);
        // Nobody can begin a request any more: the connection ends by itself.
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
}
