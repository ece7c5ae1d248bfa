//! `Hello` is what two nodes tell each other before anything else, `Refusal` how one declines.
//!
//! They are read before a protocol is agreed on, so their forms stay for ever: what they say today
//! keeps its place, a member's record in its form of protocol 1. What a later release adds stands
//! at the end, and is ignored by those who do not know it; no other frame allows that.

use bytes::{BufMut, Bytes};
use futures_util::future::BoxFuture;

use super::frame::{Frame, FrameError, frame, put_text};
use super::kind;
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::error::Error;
use crate::identity::{HexId, Identity};
use crate::raft::Member;
use crate::record;
use crate::versions::Protocols;

/// What a node says of itself right after the TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocols: Protocols,
    pub(crate) role: HelloRole,
    /// `None` until the node belongs to a cluster.
    pub(crate) cluster_id: Option<u128>,
    pub(crate) identity: Identity,
    /// What a membership records of the node; its address is empty if it cannot be dialed.
    pub(crate) record: Member,
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

/// Why a peer is not let in: in words for the people who run it, and for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) text: String,
}

/// What a peer that is not let in can conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The two belong to different clusters: an address is wrong, or was taken over.
    OtherCluster,
    /// A newer start of the refused node was met: it is a copy, or its disk was rolled back.
    Superseded,
    /// The two share no protocol.
    Protocol,
    /// What this release has no word for.
    Other,
}

/// Why two nodes that met do not talk.
#[derive(Debug, Clone)]
pub(crate) enum Unmet {
    /// One has declined the other.
    Refused(Reason, Error),
    /// The way to the peer broke, or one of the two cannot decide now.
    Failed(Error),
}

/// What the rest of the process says to peers, and which of them it talks to.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Returns what this node says of itself; asked anew for each connection.
    fn hello(&self) -> Hello;

    /// Checks a peer's hello: cluster, clones. A refusal is told to the peer.
    ///
    /// Called on both sides of a connection, with a deadline of a few seconds.
    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<(), Unmet>>;
}

impl Hello {
    pub(super) fn encode(&self) -> Bytes {
        frame(kind::HELLO, 128, |out| {
            out.put_u16(self.protocols.oldest);
            out.put_u8(match self.role {
                HelloRole::Member => 1,
                HelloRole::Client => 2,
            });
            out.put_option(self.cluster_id, BufMut::put_u128);
            out.put_bytes_with_len(self.identity.name.as_bytes());
            out.put_u64(self.identity.node_id);
            out.put_u64(self.identity.start);
            out.put_u64(self.identity.nonce);
            record::put_member(out, &self.record);
            out.put_bool(self.initialised);
            out.put_u16(self.format_level);
            // Who speaks one protocol only says no more than protocol 1 did.
            if self.protocols.newest != self.protocols.oldest {
                out.put_u16(self.protocols.newest);
            }
        })
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        if frame.kind != kind::HELLO {
            return Err(DecodeError::new(format!("a hello expected, frame {} came", frame.kind)));
        }
        let mut reader = Reader::new(frame.body);
        let oldest = reader.u16()?;
        let hello = Self {
            protocols: Protocols { oldest, newest: oldest },
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
            record: record::read_member(&mut reader)?,
            initialised: reader.bool()?,
            format_level: reader.u16()?,
        };
        let newest = if reader.is_empty() { oldest } else { reader.u16()? };
        Ok(Self { protocols: Protocols { oldest, newest }, ..hello })
    }

    /// Returns the protocol that this node and a peer use.
    pub(super) fn agree(&self, peer: &Self) -> Result<u16, Unmet> {
        self.protocols.common(peer.protocols).ok_or_else(|| {
            let error = Error::refused(format!(
                "node {} ({}) speaks {}, this node {}: run releases that share a protocol, and \
                 upgrade from one to the next",
                peer.identity.name,
                HexId(peer.identity.node_id),
                peer.protocols,
                self.protocols
            ));
            Unmet::Refused(Reason::Protocol, error)
        })
    }
}

impl Refusal {
    pub(super) fn encode(&self) -> Bytes {
        frame(kind::REFUSED, 5 + self.text.len(), |out| {
            put_text(out, &self.text);
            out.put_u8(self.reason.code());
        })
    }

    /// Returns `None` if the frame is not a refusal.
    pub(super) fn decode(frame: &Frame) -> Decoded<Option<Self>> {
        if frame.kind != kind::REFUSED {
            return Ok(None);
        }
        let mut reader = Reader::new(frame.body.clone());
        let text = reader.string()?;
        let reason = if reader.is_empty() { Reason::Other } else { Reason::of(reader.u8()?) };
        Ok(Some(Self { reason, text }))
    }
}

impl Reason {
    const fn code(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::OtherCluster => 1,
            Self::Superseded => 2,
            Self::Protocol => 3,
        }
    }

    const fn of(code: u8) -> Self {
        match code {
            1 => Self::OtherCluster,
            2 => Self::Superseded,
            3 => Self::Protocol,
            _ => Self::Other,
        }
    }
}

impl Unmet {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Refused(_, error) | Self::Failed(error) => error,
        }
    }

    /// Puts what was being done in front of the message.
    pub(crate) fn context(self, doing: impl std::fmt::Display) -> Self {
        match self {
            Self::Refused(reason, error) => Self::Refused(reason, error.context(doing)),
            Self::Failed(error) => Self::Failed(error.context(doing)),
        }
    }
}

impl From<Error> for Unmet {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<FrameError> for Unmet {
    fn from(error: FrameError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<DecodeError> for Unmet {
    fn from(error: DecodeError) -> Self {
        Self::Failed(error.into())
    }
}
