//! `Request` is what one node asks of another, `Response` what it answers, each a frame on a stream.
//!
//! A frame is `[u32 length of the body][u8 kind][body]`. Kinds are append-only: a number is never
//! used again for another meaning.

use bytes::{BufMut, Bytes, BytesMut};

use super::wire;
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::{CEILING_COMMAND_BYTES, Origin, Outcome};
use crate::error::{Error, ErrorKind};
use crate::identity::{Claim, Identity};
use crate::raft::{
    AppendRequest, AppendResponse, Member, SNAPSHOT_CHUNK_BYTES, SnapshotMeta, SnapshotResponse,
    StreamAppendResult, TransferRequest, TransferResponse, Vote, VoteRequest, VoteResponse,
};
use crate::record;

/// The version of these frames. A hello that names another one is refused in words.
pub(crate) const PROTOCOL: u16 = 1;
/// Length and kind, in front of each body.
pub(super) const HEADER_BYTES: usize = 5;
/// Bound of a frame that holds only numbers, names and texts.
const SMALL_BODY: usize = 64 << 10;
/// Bound of a frame that holds members: thousands of them with their labels.
const MEMBERS_BODY: usize = 4 << 20;
/// Longest text that travels in a failure or a refusal.
const MAX_TEXT_BYTES: usize = 4 << 10;
/// What surrounds a command in its frame.
const OVERHEAD: usize = 64 << 10;
const COMMAND_BODY: usize = CEILING_COMMAND_BYTES as usize + OVERHEAD;
/// A reader of the log gives about 1 MiB of entries at once, or one entry of any size.
const APPEND_BODY: usize = COMMAND_BODY + (8 << 20);
/// A chunk ends with the entry that fills it.
const CHUNK_BODY: usize = SNAPSHOT_CHUNK_BYTES + COMMAND_BODY;
/// What a peer may send before it is known, whatever its kind.
pub(super) const HELLO_LIMIT: usize = SMALL_BODY;
/// What an answer may be, whatever its kind.
pub(super) const RESPONSE_LIMIT: usize = MEMBERS_BODY;
/// What a request or a part of a snapshot may be: as its kind says.
pub(super) const REQUEST_LIMIT: usize = APPEND_BODY;

const HELLO: u8 = 1;
const REFUSED: u8 = 2;
const APPEND: u8 = 16;
const VOTE: u8 = 17;
const PRE_VOTE: u8 = 18;
const TRANSFER_LEADER: u8 = 19;
const PROPOSE: u8 = 20;
const READ_INDEX: u8 = 21;
const CLAIM: u8 = 22;
const PEERS: u8 = 23;
const STREAM_APPEND: u8 = 24;
const SNAPSHOT: u8 = 25;
const SNAPSHOT_CHUNK: u8 = 26;
const SNAPSHOT_END: u8 = 27;
const APPENDED: u8 = 64;
const VOTED: u8 = 65;
const TRANSFERRED: u8 = 66;
const PROPOSED: u8 = 67;
const READ_INDEX_IS: u8 = 68;
const CLAIM_GRANTED: u8 = 69;
const PEERS_ARE: u8 = 70;
const STREAM_APPENDED: u8 = 71;
const SNAPSHOT_INSTALLED: u8 = 72;
const FAILED: u8 = 127;

/// Returns how long a body of this kind may be, or `None` if the kind is unknown.
pub(super) const fn max_body_len(kind: u8) -> Option<usize> {
    match kind {
        HELLO | REFUSED | VOTE | PRE_VOTE | TRANSFER_LEADER | READ_INDEX | PEERS
        | STREAM_APPEND | SNAPSHOT_END | APPENDED | VOTED | TRANSFERRED | PROPOSED
        | READ_INDEX_IS | CLAIM_GRANTED | STREAM_APPENDED | SNAPSHOT_INSTALLED => Some(SMALL_BODY),
        CLAIM | SNAPSHOT | PEERS_ARE | FAILED => Some(MEMBERS_BODY),
        PROPOSE => Some(COMMAND_BODY),
        APPEND => Some(APPEND_BODY),
        SNAPSHOT_CHUNK => Some(CHUNK_BODY),
        _ => None,
    }
}

/// One frame as it came from a stream, its length already checked.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(super) kind: u8,
    pub(super) body: Bytes,
}

/// What a node says of itself right after the TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u16,
    pub(crate) role: HelloRole,
    /// `None` until the node belongs to a cluster.
    pub(crate) cluster_id: Option<u128>,
    pub(crate) identity: Identity,
    /// Where the node can be dialed; empty if it cannot.
    pub(crate) address: String,
    /// Whether the node has log entries: it then belongs to its cluster for good.
    pub(crate) initialised: bool,
    /// The newest format the node can write.
    pub(crate) format_level: u16,
}

/// What the dialing side may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HelloRole {
    /// A node with a data directory: it may send everything.
    Member,
    /// A process without disk or vote: it may propose, read and ask for peers.
    Client,
}

/// Why a peer is not let in, in words for the people who run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) text: String,
}

/// What follows on the stream of a `Snapshot` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SnapshotPart {
    Chunk(Bytes),
    /// The sender has sent everything; a stream that ends without it was given up.
    End,
}

/// What one node asks of another.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Append(AppendRequest),
    Vote(VoteRequest),
    PreVote(VoteRequest),
    TransferLeader(TransferRequest),
    /// Forwards an encoded command to the leader.
    Propose {
        origin: Option<Origin>,
        command: Bytes,
        timeout_ms: u32,
    },
    /// Asks the leader which index a linearizable read must have applied.
    ReadIndex {
        timeout_ms: u32,
    },
    Claim(Claim),
    /// Asks what the peer knows of its cluster.
    Peers,
    /// Opens a stream on which `Append` requests follow, answered in order.
    StreamAppend,
    /// Opens a stream on which the chunks of a snapshot follow.
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
    },
}

/// What a node answers.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    Append(AppendResponse),
    Vote(VoteResponse),
    TransferLeader(TransferResponse),
    Proposed(Outcome),
    ReadIndex(u64),
    ClaimGranted,
    Peers(Peers),
    StreamAppend(StreamAppendResult),
    SnapshotInstalled(SnapshotResponse),
    Failed(Failure),
}

/// What a node knows of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Peers {
    pub(crate) cluster_id: Option<u128>,
    pub(crate) leader: Option<u64>,
    pub(crate) members: Vec<PeerMember>,
}

/// One member in [`Peers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerMember {
    pub(crate) node_id: u64,
    pub(crate) voter: bool,
    pub(crate) member: Member,
}

/// Why a request failed, in the words of the node that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: FailureReason,
    pub(crate) message: String,
}

/// What the asking node can conclude from a [`Failure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FailureReason {
    /// Not the leader: nothing was appended. Carries who is, as far as known.
    NotLeader { leader: Option<(u64, Member)> },
    /// As the kind says: `Indeterminate` may be applied, `Unavailable` and `Overloaded` are not.
    Kind(ErrorKind),
}

impl Failure {
    pub(crate) fn not_leader(leader: Option<(u64, Member)>) -> Self {
        let message = match &leader {
            Some((_, member)) => format!("this node does not lead, {} does", member.name),
            None => "this node does not lead and knows no leader".to_owned(),
        };
        Self { reason: FailureReason::NotLeader { leader }, message }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self { reason: FailureReason::Kind(error.kind()), message: error.to_string() }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.reason {
            FailureReason::NotLeader { .. } => ErrorKind::Unavailable,
            FailureReason::Kind(kind) => kind,
        };
        Self::new(kind, failure.message)
    }
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

impl Hello {
    pub(super) fn encode(&self) -> Bytes {
        frame(HELLO, 128, |out| {
            out.put_u16(self.protocol);
            out.put_u8(match self.role {
                HelloRole::Member => 1,
                HelloRole::Client => 2,
            });
            out.put_option(self.cluster_id, BufMut::put_u128);
            out.put_bytes_with_len(self.identity.name.as_bytes());
            out.put_u64(self.identity.node_id);
            out.put_u64(self.identity.start);
            out.put_u64(self.identity.nonce);
            out.put_bytes_with_len(self.address.as_bytes());
            out.put_bool(self.initialised);
            out.put_u16(self.format_level);
        })
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        if frame.kind != HELLO {
            return Err(DecodeError::new(format!("a hello expected, frame {} came", frame.kind)));
        }
        let mut reader = Reader::new(frame.body);
        let protocol = reader.u16()?;
        if protocol != PROTOCOL {
            return Err(DecodeError::new(format!(
                "the peer speaks kvraft protocol {protocol} and this node {PROTOCOL}: run \
                 releases that share a protocol"
            )));
        }
        let hello = Self {
            protocol,
            role: match reader.u8()? {
                1 => HelloRole::Member,
                2 => HelloRole::Client,
                role => return Err(DecodeError::new(format!("role {role} is unknown"))),
            },
            cluster_id: reader.option(Reader::u128)?,
            identity: Identity {
                name: reader.string()?,
                node_id: reader.u64()?,
                start: reader.u64()?,
                nonce: reader.u64()?,
            },
            address: reader.string()?,
            initialised: reader.bool()?,
            format_level: reader.u16()?,
        };
        reader.finish()?;
        Ok(hello)
    }
}

impl Refusal {
    pub(super) fn encode(&self) -> Bytes {
        frame(REFUSED, 4 + self.text.len(), |out| put_text(out, &self.text))
    }

    /// Returns `None` if the frame is not a refusal.
    pub(super) fn decode(frame: &Frame) -> Decoded<Option<Self>> {
        if frame.kind != REFUSED {
            return Ok(None);
        }
        let mut reader = Reader::new(frame.body.clone());
        let text = reader.string()?;
        reader.finish()?;
        Ok(Some(Self { text }))
    }
}

impl SnapshotPart {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Chunk(chunk) => frame(SNAPSHOT_CHUNK, chunk.len(), |out| out.put_slice(chunk)),
            Self::End => frame(SNAPSHOT_END, 0, |_| {}),
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        match frame.kind {
            SNAPSHOT_CHUNK => Ok(Self::Chunk(frame.body)),
            SNAPSHOT_END => Reader::new(frame.body).finish().map(|()| Self::End),
            kind => Err(DecodeError::new(format!("frame {kind} is no part of a snapshot"))),
        }
    }
}

impl Request {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Append(request) => wire::append_frame(APPEND, request),
            Self::Vote(request) => frame(VOTE, 64, |out| wire::put_vote_request(out, request)),
            Self::PreVote(request) => {
                frame(PRE_VOTE, 64, |out| wire::put_vote_request(out, request))
            }
            Self::TransferLeader(request) => {
                frame(TRANSFER_LEADER, 64, |out| wire::put_transfer_request(out, request))
            }
            Self::Propose { origin, command, timeout_ms } => {
                frame(PROPOSE, 64 + command.len(), |out| {
                    out.put_u32(*timeout_ms);
                    out.put_option(*origin, |out, origin| origin.encode(out));
                    out.put_slice(command);
                })
            }
            Self::ReadIndex { timeout_ms } => frame(READ_INDEX, 4, |out| out.put_u32(*timeout_ms)),
            Self::Claim(claim) => frame(CLAIM, 256, |out| claim.encode(out)),
            Self::Peers => frame(PEERS, 0, |_| {}),
            Self::StreamAppend => frame(STREAM_APPEND, 0, |_| {}),
            Self::Snapshot { vote, meta } => frame(SNAPSHOT, 256, |out| {
                record::put_vote(out, vote);
                wire::put_snapshot_meta(out, meta);
            }),
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        let mut reader = Reader::new(frame.body);
        let request = match frame.kind {
            APPEND => Self::Append(wire::read_append_request(&mut reader)?),
            VOTE => Self::Vote(wire::read_vote_request(&mut reader)?),
            PRE_VOTE => Self::PreVote(wire::read_vote_request(&mut reader)?),
            TRANSFER_LEADER => Self::TransferLeader(wire::read_transfer_request(&mut reader)?),
            PROPOSE => {
                let timeout_ms = reader.u32()?;
                let origin = reader.option(Origin::decode)?;
                return Ok(Self::Propose { origin, command: reader.rest(), timeout_ms });
            }
            READ_INDEX => Self::ReadIndex { timeout_ms: reader.u32()? },
            CLAIM => Self::Claim(Claim::decode(&mut reader)?),
            PEERS => Self::Peers,
            STREAM_APPEND => Self::StreamAppend,
            SNAPSHOT => Self::Snapshot {
                vote: record::read_vote(&mut reader)?,
                meta: wire::read_snapshot_meta(&mut reader)?,
            },
            kind => return Err(DecodeError::new(format!("frame {kind} is no request"))),
        };
        reader.finish()?;
        Ok(request)
    }

    /// Returns whether a process without disk or vote may send it.
    pub(super) const fn is_for_clients(&self) -> bool {
        matches!(self, Self::Propose { .. } | Self::ReadIndex { .. } | Self::Peers)
    }

    /// Returns whether an election or a lease waits for the answer.
    pub(super) const fn is_urgent(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Vote(_) | Self::PreVote(_) | Self::TransferLeader(_))
    }
}

impl Response {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Append(response) => {
                frame(APPENDED, 32, |out| wire::put_append_response(out, response))
            }
            Self::Vote(response) => frame(VOTED, 64, |out| wire::put_vote_response(out, response)),
            Self::TransferLeader(response) => {
                frame(TRANSFERRED, 64, |out| wire::put_transfer_response(out, response))
            }
            Self::Proposed(outcome) => frame(PROPOSED, 64, |out| outcome.encode(out)),
            Self::ReadIndex(index) => frame(READ_INDEX_IS, 8, |out| out.put_u64(*index)),
            Self::ClaimGranted => frame(CLAIM_GRANTED, 0, |_| {}),
            Self::Peers(peers) => frame(PEERS_ARE, 256, |out| peers.encode(out)),
            Self::StreamAppend(result) => {
                frame(STREAM_APPENDED, 32, |out| wire::put_stream_append_result(out, result))
            }
            Self::SnapshotInstalled(response) => {
                frame(SNAPSHOT_INSTALLED, 32, |out| record::put_vote(out, &response.vote))
            }
            Self::Failed(failure) => frame(FAILED, 256, |out| failure.encode(out)),
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        let mut reader = Reader::new(frame.body);
        let response = match frame.kind {
            APPENDED => Self::Append(wire::read_append_response(&mut reader)?),
            VOTED => Self::Vote(wire::read_vote_response(&mut reader)?),
            TRANSFERRED => Self::TransferLeader(wire::read_transfer_response(&mut reader)?),
            PROPOSED => Self::Proposed(Outcome::decode(&mut reader)?),
            READ_INDEX_IS => Self::ReadIndex(reader.u64()?),
            CLAIM_GRANTED => Self::ClaimGranted,
            PEERS_ARE => Self::Peers(Peers::decode(&mut reader)?),
            STREAM_APPENDED => Self::StreamAppend(wire::read_stream_append_result(&mut reader)?),
            SNAPSHOT_INSTALLED => {
                Self::SnapshotInstalled(SnapshotResponse::new(record::read_vote(&mut reader)?))
            }
            FAILED => Self::Failed(Failure::decode(&mut reader)?),
            kind => return Err(DecodeError::new(format!("frame {kind} is no response"))),
        };
        reader.finish()?;
        Ok(response)
    }
}

impl Peers {
    fn encode(&self, out: &mut BytesMut) {
        out.put_option(self.cluster_id, BufMut::put_u128);
        out.put_option(self.leader, BufMut::put_u64);
        out.put_list(self.members.iter(), |out, peer| {
            out.put_u64(peer.node_id);
            out.put_bool(peer.voter);
            record::put_member(out, &peer.member);
        });
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            cluster_id: reader.option(Reader::u128)?,
            leader: reader.option(Reader::u64)?,
            members: reader.list(|r| {
                Ok(PeerMember {
                    node_id: r.u64()?,
                    voter: r.bool()?,
                    member: record::read_member(r)?,
                })
            })?,
        })
    }
}

impl Failure {
    fn encode(&self, out: &mut BytesMut) {
        match &self.reason {
            FailureReason::NotLeader { leader } => {
                out.put_u8(0);
                out.put_option(leader.as_ref(), |out, (id, member)| {
                    out.put_u64(*id);
                    record::put_member(out, member);
                });
            }
            FailureReason::Kind(kind) => out.put_u8(kind_code(*kind)),
        }
        put_text(out, &self.message);
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        let reason = match reader.u8()? {
            0 => FailureReason::NotLeader {
                leader: reader.option(|r| Ok((r.u64()?, record::read_member(r)?)))?,
            },
            code => FailureReason::Kind(kind_of(code)?),
        };
        Ok(Self { reason, message: reader.string()? })
    }
}

/// Writes a text for people, cut so that its frame keeps to its bound.
fn put_text(out: &mut BytesMut, text: &str) {
    let end = text.floor_char_boundary(MAX_TEXT_BYTES);
    out.put_bytes_with_len(text.get(..end).unwrap_or(text).as_bytes());
}

/// Kinds travel as their place in [`ErrorKind::ALL`], counted from 1, as in C.
fn kind_code(kind: ErrorKind) -> u8 {
    let place = ErrorKind::ALL.iter().position(|known| *known == kind);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(u8::MAX)
}

fn kind_of(code: u8) -> Decoded<ErrorKind> {
    let place = usize::from(code).checked_sub(1);
    place
        .and_then(|place| ErrorKind::ALL.get(place).copied())
        .ok_or_else(|| DecodeError::new(format!("failure {code} is unknown")))
}
