//! A `Frame` is `[u32 length of its body][u8 kind][body]` on a QUIC stream.
//!
//! No length is believed before it is checked.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream};

use super::{kind, quic};
use crate::codec::{DecodeError, Writer};
use crate::error::{Error, Result};

/// Length and kind, in front of each body.
const HEADER_BYTES: usize = 5;
/// Longest text that travels in a failure or a refusal.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// One frame as it came from a stream, its length already checked.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(super) kind: u8,
    pub(super) body: Bytes,
}

/// Reserved at once for a body; more only as its bytes arrive, so that a length costs nothing.
const FIRST_ALLOCATION: usize = 64 << 10;

/// Why no frame could be read.
#[derive(Debug)]
pub(super) enum FrameError {
    /// The stream or its connection broke.
    Read(ReadError),
    /// The peer sent what no peer of this protocol sends.
    Malformed(DecodeError),
    /// The peer sent a frame that this release does not have; it may be of a newer one.
    Unknown(u8),
}

impl From<ReadError> for FrameError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<DecodeError> for FrameError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Read(ReadError::ConnectionLost(error)) => quic::connection_error(error),
            FrameError::Read(error) => {
                Self::unavailable("the peer gave up the stream").with_source(error)
            }
            FrameError::Malformed(error) => error.into(),
            FrameError::Unknown(kind) => Self::refused(format!(
                "frame {kind} is unknown to this release of kvraft: upgrade the node that got it"
            )),
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::corrupt("the peer sent a malformed frame").with_source(error)
    }
}

/// Reads one frame of at most `limit` bytes, or `None` if the stream ended in front of it.
pub(super) async fn read_frame(
    recv: &mut RecvStream,
    limit: usize,
) -> Result<Option<Frame>, FrameError> {
    let mut header = [0; HEADER_BYTES];
    match recv.read_exact(&mut header).await {
        Ok(()) => {}
        Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
        Err(ReadExactError::FinishedEarly(_)) => return Err(cut_short().into()),
        Err(ReadExactError::ReadError(error)) => return Err(error.into()),
    }
    let mut fields = header.as_slice();
    let len = usize::try_from(fields.get_u32()).unwrap_or(usize::MAX);
    let kind = fields.get_u8();
    let bound = kind::max_body_len(kind).ok_or(FrameError::Unknown(kind))?.min(limit);
    if len > bound {
        return Err(DecodeError::new(format!(
            "frame {kind} claims {len} bytes and may have {bound}"
        ))
        .into());
    }
    let mut body = BytesMut::with_capacity(len.min(FIRST_ALLOCATION));
    while body.len() < len {
        match recv.read_chunk(len - body.len(), true).await? {
            Some(chunk) => body.extend_from_slice(&chunk.bytes),
            None => return Err(cut_short().into()),
        }
    }
    Ok(Some(Frame { kind, body: body.freeze() }))
}

/// Reads the frame that must come.
pub(super) async fn expect_frame(recv: &mut RecvStream, limit: usize) -> Result<Frame, FrameError> {
    match read_frame(recv, limit).await? {
        Some(frame) => Ok(frame),
        None => Err(DecodeError::new("the stream ended without an answer").into()),
    }
}

/// Fails if the receiver would refuse the frame for its length.
pub(super) fn check_len(frame: &Bytes) -> Result<()> {
    let body = frame.len().saturating_sub(HEADER_BYTES);
    let bound = frame.get(HEADER_BYTES - 1).and_then(|kind| kind::max_body_len(*kind)).unwrap_or(0);
    if body > bound {
        return Err(Error::invalid(format!(
            "a request of {body} bytes is over the bound of {bound}"
        )));
    }
    Ok(())
}

/// Fails if a peer that speaks this protocol does not know the frame.
pub(super) fn check_known(frame: &Bytes, protocol: u16) -> Result<()> {
    let Some(kind) = frame.get(HEADER_BYTES - 1) else { return Ok(()) };
    let since = kind::since(*kind);
    if since.protocol <= protocol {
        return Ok(());
    }
    Err(Error::refused(format!(
        "it runs a release that cannot {} (it speaks protocol {protocol}, and that takes {}): upgrade it",
        since.what, since.protocol
    )))
}

/// Hands a whole frame to the connection; it is on its way only if this succeeds.
pub(super) async fn write_frame(send: &mut SendStream, frame: Bytes) -> Result<()> {
    check_len(&frame)?;
    send.write_chunk(frame).await.map_err(|error| match error {
        quinn::WriteError::ConnectionLost(error) => quic::connection_error(error),
        quinn::WriteError::Stopped(_)
        | quinn::WriteError::ClosedStream
        | quinn::WriteError::ZeroRttRejected => {
            Error::unavailable("the peer stopped the stream").with_source(error)
        }
    })
}

fn cut_short() -> DecodeError {
    DecodeError::new("the stream ended inside a frame")
}

/// Builds a frame: its kind, then what `body` writes.
pub(super) fn frame(kind: u8, capacity: usize, body: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + capacity);
    out.put_u32(0);
    out.put_u8(kind);
    body(&mut out);
    // Senders keep to the bounds of the receiver, which are far below 4 GiB.
    let len = u32::try_from(out.len() - HEADER_BYTES).unwrap_or(u32::MAX);
    if let Some(place) = out.first_chunk_mut() {
        *place = len.to_be_bytes();
    }
    out.freeze()
}

/// Writes a text for people, cut so that its frame keeps to its bound.
pub(super) fn put_text(out: &mut BytesMut, text: &str) {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    out.put_bytes_with_len(text.get(..end).unwrap_or(text).as_bytes());
}
