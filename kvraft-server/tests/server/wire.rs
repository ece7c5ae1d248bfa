//! A client below the level of requests: connections over any stream, in HTTP/1.1 or HTTP/2.

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

/// Runs a test that waits.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// A connection of either version.
pub(crate) enum Wire {
    One(http1::SendRequest<String>),
    Two(http2::SendRequest<String>),
}

impl Wire {
    pub(crate) async fn connect<S>(stream: S, http2: bool) -> hyper::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            // It ends with the sender, or with the server.
            tokio::spawn(async move { drop(connection.await) });
            return Ok(Self::Two(sender));
        }
        let (sender, connection) = http1::handshake(stream).await?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self::One(sender))
    }

    /// Sends a request; the connection is ready for it.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> hyper::Result<Response<Incoming>> {
        let request = Request::builder().method(method);
        match self {
            Self::One(sender) => {
                let request = request.uri(path).header("host", "localhost");
                sender.send_request(request.body(body.to_owned()).unwrap()).await
            }
            Self::Two(sender) => {
                let request = request.uri(format!("http://localhost{path}"));
                sender.send_request(request.body(body.to_owned()).unwrap()).await
            }
        }
    }

    /// Sends a request and reads its answer to the end.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, Bytes) {
        let answer = self.send(method, path, body).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect().await.unwrap().to_bytes())
    }
}
