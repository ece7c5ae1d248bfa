//! `Hello` is what two nodes tell each other before anything else, `Refusal` how one declines.

use bytes::{BufMut, Bytes};
use futures_util::future::BoxFuture;

use super::frame::{Frame, frame, put_text};
use super::kind;
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::error::Result;
use crate::identity::Identity;
use crate::raft::Member;
use crate::record;

/// The version of these frames. A hello that names another one is refused in words.
pub(crate) const PROTOCOL: u16 = 1;

/// What a node says of itself right after the TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) protocol: u16,
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

/// Why a peer is not let in, in words for the people who run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) text: String,
}

/// What the rest of the process says to peers, and which of them it talks to.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Returns what this node says of itself; asked anew for each connection.
    fn hello(&self) -> Hello;

    /// Checks a peer's hello: cluster, clones, format. An error is told to the peer in words.
    ///
    /// Called on both sides of a connection, with a deadline of a few seconds.
    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<()>>;
}

impl Hello {
    pub(super) fn encode(&self) -> Bytes {
        frame(kind::HELLO, 128, |out| {
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
            record::put_member(out, &self.record);
            out.put_bool(self.initialised);
            out.put_u16(self.format_level);
        })
    }

    pub(super) fn decode(frame: Frame) -> Decoded<Self> {
        if frame.kind != kind::HELLO {
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
            record: record::read_member(&mut reader)?,
            initialised: reader.bool()?,
            format_level: reader.u16()?,
        };
        reader.finish()?;
        Ok(hello)
    }
}

impl Refusal {
    pub(super) fn encode(&self) -> Bytes {
        frame(kind::REFUSED, 4 + self.text.len(), |out| put_text(out, &self.text))
    }

    /// Returns `None` if the frame is not a refusal.
    pub(super) fn decode(frame: &Frame) -> Decoded<Option<Self>> {
        if frame.kind != kind::REFUSED {
            return Ok(None);
        }
        let mut reader = Reader::new(frame.body.clone());
        let text = reader.string()?;
        reader.finish()?;
        Ok(Some(Self { text }))
    }
}
