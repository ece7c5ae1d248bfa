//! `Request` is what one node asks of another, `Response` what it answers.

use bytes::{BufMut, Bytes, BytesMut};

use super::change::{put_change, read_change};
use super::failure::Failure;
use super::frame::{Frame, frame};
use super::peer::Peer;
use super::query::{Answer, Query};
use super::{kind, wire};
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::{Origin, Outcome};
use crate::error::Error;
use crate::identity::Claim;
use crate::options::MembershipChange;
use crate::raft::{
    AppendRequest, AppendResponse, Member, SnapshotMeta, SnapshotResponse, StreamAppendResult,
    TransferRequest, TransferResponse, Vote, VoteRequest, VoteResponse,
};
use crate::record;

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
    /// As `ReadIndex`, but an old enough lease of the leader's is proof enough.
    LeaseIndex {
        timeout_ms: u32,
    },
    Claim(Claim),
    /// Asks what the peer knows of its cluster.
    Peers,
    /// Asks the leader to record the sending node: as a new learner, or as it is now.
    Join {
        record: Member,
        auto_promote: bool,
    },
    /// Asks the leader to change the membership; `again` if it may have done so already.
    Change {
        change: MembershipChange,
        again: bool,
        timeout_ms: u32,
    },
    /// Has the peer read something for a process without a disk.
    Query(Query),
    /// Opens a stream on which `Append` requests follow, answered in order.
    StreamAppend,
    /// Opens a stream on which the chunks of a snapshot follow.
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
        /// Whether its sending broke off before: the peer first says how many of its bytes it has.
        resumes: bool,
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
    /// The sending node belongs to this cluster from now on.
    Joined(u128),
    Changed,
    Answer(Answer),
    StreamAppend(StreamAppendResult),
    SnapshotInstalled(SnapshotResponse),
    /// So many bytes of the snapshot are here already: send what follows.
    SnapshotHeld(u64),
    Failed(Failure),
}

/// What a node knows of its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Peers {
    pub(crate) cluster_id: Option<u128>,
    /// The newest term that the node has seen.
    pub(crate) term: u64,
    pub(crate) leader: Option<u64>,
    /// The largest value that the cluster takes.
    pub(crate) max_value_bytes: u32,
    /// The largest command.
    pub(crate) max_command_bytes: u32,
    pub(crate) members: Vec<PeerMember>,
}

/// One member in [`Peers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeerMember {
    pub(crate) node_id: u64,
    pub(crate) voter: bool,
    pub(crate) member: Member,
}

impl SnapshotPart {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Chunk(chunk) => {
                frame(kind::SNAPSHOT_CHUNK, chunk.len(), |out| out.put_slice(chunk))
            }
            Self::End => frame(kind::SNAPSHOT_END, 0, |_| {}),
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        match frame.kind {
            kind::SNAPSHOT_CHUNK => Ok(Self::Chunk(frame.body)),
            kind::SNAPSHOT_END => Reader::new(frame.body).finish().map(|()| Self::End),
            other => Err(DecodeError::new(format!("frame {other} is no part of a snapshot"))),
        }
    }
}

impl Request {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Append(request) => wire::append_frame(kind::APPEND, request),
            Self::Vote(request) => {
                frame(kind::VOTE, 64, |out| wire::put_vote_request(out, request))
            }
            Self::PreVote(request) => {
                frame(kind::PRE_VOTE, 64, |out| wire::put_vote_request(out, request))
            }
            Self::TransferLeader(request) => {
                frame(kind::TRANSFER_LEADER, 64, |out| wire::put_transfer_request(out, request))
            }
            Self::Propose { origin, command, timeout_ms } => {
                frame(kind::PROPOSE, 64 + command.len(), |out| {
                    out.put_u32(*timeout_ms);
                    out.put_option(*origin, |out, origin| origin.encode(out));
                    out.put_slice(command);
                })
            }
            Self::ReadIndex { timeout_ms } => {
                frame(kind::READ_INDEX, 4, |out| out.put_u32(*timeout_ms))
            }
            Self::LeaseIndex { timeout_ms } => {
                frame(kind::LEASE_INDEX, 4, |out| out.put_u32(*timeout_ms))
            }
            Self::Claim(claim) => frame(kind::CLAIM, 256, |out| claim.encode(out)),
            Self::Peers => frame(kind::PEERS, 0, |_| {}),
            Self::Query(query) => query.encode(),
            Self::Join { record, auto_promote } => frame(kind::JOIN, 256, |out| {
                record::put_member(out, record);
                out.put_bool(*auto_promote);
            }),
            Self::Change { change, again, timeout_ms } => frame(kind::CHANGE, 64, |out| {
                out.put_u32(*timeout_ms);
                out.put_bool(*again);
                put_change(out, change);
            }),
            Self::StreamAppend => frame(kind::STREAM_APPEND, 0, |_| {}),
            Self::Snapshot { vote, meta, resumes } => {
                let kind = if *resumes { kind::SNAPSHOT_AGAIN } else { kind::SNAPSHOT };
                frame(kind, 256, |out| {
                    record::put_vote(out, vote);
                    wire::put_snapshot_meta(out, meta);
                })
            }
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        let mut reader = Reader::new(frame.body);
        let request = match frame.kind {
            kind::APPEND => Self::Append(wire::read_append_request(&mut reader)?),
            kind::VOTE => Self::Vote(wire::read_vote_request(&mut reader)?),
            kind::PRE_VOTE => Self::PreVote(wire::read_vote_request(&mut reader)?),
            kind::TRANSFER_LEADER => {
                Self::TransferLeader(wire::read_transfer_request(&mut reader)?)
            }
            kind::PROPOSE => {
                let timeout_ms = reader.u32()?;
                let origin = reader.option(Origin::decode)?;
                return Ok(Self::Propose { origin, command: reader.rest(), timeout_ms });
            }
            kind::READ_INDEX => Self::ReadIndex { timeout_ms: reader.u32()? },
            kind::LEASE_INDEX => Self::LeaseIndex { timeout_ms: reader.u32()? },
            kind::CLAIM => Self::Claim(Claim::decode(&mut reader)?),
            kind::PEERS => Self::Peers,
            kind::JOIN => Self::Join {
                record: record::read_member(&mut reader)?,
                auto_promote: reader.bool()?,
            },
            kind::CHANGE => Self::Change {
                timeout_ms: reader.u32()?,
                again: reader.bool()?,
                change: read_change(&mut reader)?,
            },
            kind::STREAM_APPEND => Self::StreamAppend,
            kind::SNAPSHOT | kind::SNAPSHOT_AGAIN => Self::Snapshot {
                vote: record::read_vote(&mut reader)?,
                meta: wire::read_snapshot_meta(&mut reader)?,
                resumes: frame.kind == kind::SNAPSHOT_AGAIN,
            },
            other => Query::decode(other, &mut reader)?
                .map(Self::Query)
                .ok_or_else(|| DecodeError::new(format!("frame {other} is no request")))?,
        };
        reader.finish()?;
        Ok(request)
    }

    /// Returns whether a process without disk or vote may send it.
    pub(super) const fn is_for_clients(&self) -> bool {
        match self {
            Self::Propose { .. }
            | Self::ReadIndex { .. }
            | Self::LeaseIndex { .. }
            | Self::Peers
            | Self::Change { .. } => true,
            Self::Query(query) => query.is_for_clients(),
            Self::Append(_)
            | Self::Vote(_)
            | Self::PreVote(_)
            | Self::TransferLeader(_)
            | Self::Claim(_)
            | Self::Join { .. }
            | Self::StreamAppend
            | Self::Snapshot { .. } => false,
        }
    }

    /// Returns whether the answer waits for something to happen.
    pub(super) const fn waits(&self) -> bool {
        let waits = matches!(self, Self::Query(query) if query.waits());
        waits || matches!(self, Self::Change { .. })
    }

    /// Returns whether an election or a lease waits for the answer.
    pub(super) const fn is_urgent(&self) -> bool {
        matches!(self, Self::Append(_) | Self::Vote(_) | Self::PreVote(_) | Self::TransferLeader(_))
    }
}

impl Response {
    /// Explains an answer that is not what was asked for.
    pub(super) fn unfit(self, peer: &Peer, request: &str) -> Error {
        if let Self::Failed(failure) = self {
            return Error::from(failure).context(peer);
        }
        Error::corrupt(format!("{peer} gave an answer that fits no {request} request"))
    }

    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Append(response) => {
                frame(kind::APPENDED, 32, |out| wire::put_append_response(out, response))
            }
            Self::Vote(response) => {
                frame(kind::VOTED, 64, |out| wire::put_vote_response(out, response))
            }
            Self::TransferLeader(response) => {
                frame(kind::TRANSFERRED, 64, |out| wire::put_transfer_response(out, response))
            }
            Self::Proposed(outcome) => frame(kind::PROPOSED, 64, |out| outcome.encode(out)),
            Self::ReadIndex(index) => frame(kind::READ_INDEX_IS, 8, |out| out.put_u64(*index)),
            Self::ClaimGranted => frame(kind::CLAIM_GRANTED, 0, |_| {}),
            Self::Joined(cluster) => frame(kind::JOINED, 16, |out| out.put_u128(*cluster)),
            Self::Changed => frame(kind::CHANGED, 0, |_| {}),
            Self::Answer(answer) => answer.encode(),
            Self::Peers(peers) => frame(kind::PEERS_ARE, 256, |out| peers.encode(out)),
            Self::StreamAppend(result) => {
                frame(kind::STREAM_APPENDED, 32, |out| wire::put_stream_append_result(out, result))
            }
            Self::SnapshotInstalled(response) => {
                frame(kind::SNAPSHOT_INSTALLED, 32, |out| record::put_vote(out, &response.vote))
            }
            Self::SnapshotHeld(bytes) => frame(kind::SNAPSHOT_HELD, 8, |out| out.put_u64(*bytes)),
            Self::Failed(failure) => frame(kind::FAILED, 256, |out| failure.encode(out)),
        }
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        let mut reader = Reader::new(frame.body);
        let response = match frame.kind {
            kind::APPENDED => Self::Append(wire::read_append_response(&mut reader)?),
            kind::VOTED => Self::Vote(wire::read_vote_response(&mut reader)?),
            kind::TRANSFERRED => Self::TransferLeader(wire::read_transfer_response(&mut reader)?),
            kind::PROPOSED => Self::Proposed(Outcome::decode(&mut reader)?),
            kind::READ_INDEX_IS => Self::ReadIndex(reader.u64()?),
            kind::CLAIM_GRANTED => Self::ClaimGranted,
            kind::JOINED => Self::Joined(reader.u128()?),
            kind::CHANGED => Self::Changed,
            kind::PEERS_ARE => Self::Peers(Peers::decode(&mut reader)?),
            kind::STREAM_APPENDED => {
                Self::StreamAppend(wire::read_stream_append_result(&mut reader)?)
            }
            kind::SNAPSHOT_INSTALLED => {
                Self::SnapshotInstalled(SnapshotResponse::new(record::read_vote(&mut reader)?))
            }
            kind::SNAPSHOT_HELD => Self::SnapshotHeld(reader.u64()?),
            kind::FAILED => Self::Failed(Failure::decode(&mut reader)?),
            other => Answer::decode(other, &mut reader)?
                .map(Self::Answer)
                .ok_or_else(|| DecodeError::new(format!("frame {other} is no response")))?,
        };
        reader.finish()?;
        Ok(response)
    }
}

impl Peers {
    fn encode(&self, out: &mut BytesMut) {
        out.put_option(self.cluster_id, BufMut::put_u128);
        out.put_u64(self.term);
        out.put_option(self.leader, BufMut::put_u64);
        out.put_u32(self.max_value_bytes);
        out.put_u32(self.max_command_bytes);
        out.put_list(self.members.iter(), |out, peer| {
            out.put_u64(peer.node_id);
            out.put_bool(peer.voter);
            record::put_member(out, &peer.member);
        });
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            cluster_id: reader.option(Reader::u128)?,
            term: reader.u64()?,
            leader: reader.option(Reader::u64)?,
            max_value_bytes: reader.u32()?,
            max_command_bytes: reader.u32()?,
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
