//! A `Payload` is the body of a request, which can be sent as often as it has to be.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame};

/// What the transport sends.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What is read of a file at a time.
const CHUNK: usize = 64 << 10;
/// Up to here what comes from a pipe stays in memory; beyond, it waits in a file without a name.
const IN_MEMORY: u64 = 1 << 20;
/// No value is larger, whatever the settings of the cluster say.
pub(crate) const MOST: u64 = 64 << 20;

/// Bytes, or a file that is read again for each attempt.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Bytes(Bytes),
    File(Arc<File>, u64),
}

impl Payload {
    /// Takes a file as it is now; it must not change until the command is done.
    pub(crate) fn file(file: File) -> Result<Self> {
        let metadata = file.metadata().context("cannot look at the file")?;
        if !metadata.is_file() {
            return Self::pipe(file);
        }
        Self::whole_file(file, metadata.len())
    }

    fn whole_file(file: File, len: u64) -> Result<Self> {
        if len > MOST {
            bail!("the value has {len} bytes, and none has more than {MOST}");
        }
        Ok(Self::File(Arc::new(file), len))
    }

    /// Takes what comes to its end, so that it can be sent again, in bounded memory.
    pub(crate) fn pipe(mut from: impl Read) -> Result<Self> {
        let (mut spool, mut buffer) = (Spool::default(), vec![0; CHUNK]);
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return spool.finish(),
                Ok(read) => spool.push(buffer.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("cannot read the value"),
            }
        }
    }

    pub(crate) const fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, len) => *len,
        }
    }

    /// The body of one attempt.
    pub(super) fn body(&self) -> Body {
        match self {
            Self::Bytes(bytes) => {
                Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync()
            }
            Self::File(file, len) => {
                let state = (Arc::clone(file), 0, *len);
                let frames = stream::unfold(state, |(file, at, len)| async move {
                    let bytes = chunk(&file, at, len).transpose()?;
                    // A file that has failed has an end all the same.
                    let next = bytes.as_ref().map_or(len, |bytes| at + bytes.len() as u64);
                    Some((bytes.map(Frame::data), (file, next, len)))
                });
                let frames = StreamBody::new(frames);
                Sized { body: Box::pin(frames), left: *len }.boxed_unsync()
            }
        }
    }

    /// Writes all of it.
    pub(crate) fn copy_to(&self, out: &mut impl io::Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => out.write_all(bytes),
            Self::File(file, len) => {
                let mut at = 0;
                while let Some(bytes) = chunk(file, at, *len)? {
                    out.write_all(&bytes)?;
                    at += bytes.len() as u64;
                }
                Ok(())
            }
        }
    }
}

/// What comes bit by bit and is kept to its end: in memory, or in a file without a name.
#[derive(Debug, Default)]
pub(crate) struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
}

impl Spool {
    /// Keeps what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        if self.len > MOST {
            bail!("the value has more than {MOST} bytes, which no value has");
        }
        if self.file.is_none() && self.len <= IN_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let made = tempfile::tempfile().context("cannot make a file for a large value")?;
                let file = self.file.insert(made);
                file.write_all(&self.memory).context("cannot keep a large value")?;
                self.memory = Vec::new();
                file
            }
        };
        file.write_all(bytes).context("cannot keep a large value")
    }

    /// All that has come.
    pub(crate) fn finish(self) -> Result<Payload> {
        match self.file {
            None => Ok(Payload::Bytes(self.memory.into())),
            Some(file) => Payload::whole_file(file, self.len),
        }
    }
}

/// The body of a request without one.
pub(super) fn none() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Reads what comes at `at`; nothing at the end.
fn chunk(file: &File, at: u64, len: u64) -> io::Result<Option<Bytes>> {
    let left = usize::try_from(len.saturating_sub(at)).unwrap_or(CHUNK).min(CHUNK);
    if left == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; left];
    file.read_exact_at(&mut bytes, at)?;
    Ok(Some(bytes.into()))
}

/// A stream whose length is known, so that the server hears of it before the first byte.
struct Sized<B> {
    body: std::pin::Pin<Box<B>>,
    left: u64,
}

impl<B: hyper::body::Body<Data = Bytes, Error = io::Error>> hyper::body::Body for Sized<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let polled = self.body.as_mut().poll_frame(context);
        if let std::task::Poll::Ready(Some(Ok(frame))) = &polled {
            let sent = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
            self.left = self.left.saturating_sub(sent);
        }
        polled
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Body as _;

    use super::*;

    fn sent(payload: &Payload) -> Vec<u8> {
        let body = payload.body();
        assert_eq!(body.size_hint().exact(), Some(payload.len()));
        futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes().into()
    }

    #[test]
    fn what_came_from_a_pipe_is_sent_as_often_as_it_has_to_be() {
        for len in [0, 1, 1 << 20, (1 << 20) + 100_000] {
            let bytes: Vec<u8> =
                (0..len).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
            let payload = Payload::pipe(bytes.as_slice()).unwrap();
            assert_eq!(matches!(payload, Payload::File(..)), len > 1 << 20);
            assert!(sent(&payload) == bytes && sent(&payload) == bytes);
            let mut copied = Vec::new();
            payload.copy_to(&mut copied).unwrap();
            assert!(copied == bytes);
        }
    }

    #[test]
    fn what_no_node_would_take_is_refused_before_it_is_read_to_its_end() {
        let endless = io::repeat(7);
        assert!(Payload::pipe(endless).unwrap_err().to_string().contains("more than"));
    }
}
