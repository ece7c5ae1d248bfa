//! `Prefixed` is a connection of which the first bytes were read to see what it speaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// How HTTP/2 begins; no method of HTTP/1.1 does.
const HTTP2: [u8; 4] = *b"PRI ";

/// A stream that gives its first bytes once more.
#[derive(Debug)]
pub(super) struct Prefixed<S> {
    stream: S,
    first: [u8; HTTP2.len()],
    /// How many of them were given.
    given: usize,
}

impl<S: AsyncRead + Unpin> Prefixed<S> {
    /// Waits for the first bytes: the shortest request has more. `None` if there are none, as
    /// the other side has gone away again.
    pub(super) async fn read(mut stream: S) -> io::Result<Option<Self>> {
        let mut first = [0; HTTP2.len()];
        match stream.read_exact(&mut first).await {
            Ok(_) => Ok(Some(Self { stream, first, given: 0 })),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether it speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.first == HTTP2
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.first.get(self.given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let now = rest.get(..rest.len().min(buffer.remaining())).unwrap_or_default();
        buffer.put_slice(now);
        let now = now.len();
        self.given += now;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_looked_at_is_read_again() {
        let text = b"GET / HTTP/1.1\r\n\r\n";
        let mut stream = Prefixed::read(&text[..]).await.unwrap().unwrap();
        assert!(!stream.is_http2());
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, text);
        let http2 = Prefixed::read(&b"PRI * HTTP/2.0\r\n"[..]).await.unwrap().unwrap();
        assert!(http2.is_http2());
        assert!(Prefixed::read(&b"GET"[..]).await.unwrap().is_none());
    }
}
