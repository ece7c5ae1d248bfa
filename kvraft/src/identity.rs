//! `Identity` says which node this is; `Claim` says which nodes are about to found a cluster.

use std::fmt;

use crate::codec::{Decoded, Reader, Writer};
use crate::command::Settings;
use crate::raft::Member;
use crate::record;

/// Who a node is: its user's name, and the id its data directory was born with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) name: String,
    /// Random, never zero, never reused: a wiped disk is another node.
    pub(crate) node_id: u64,
    /// How often this data directory was opened; raised durably at every open.
    pub(crate) start: u64,
    /// Random at every open: two copies of one directory can have equal starts, not equal nonces.
    pub(crate) nonce: u64,
}

/// A node id as people see it: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HexId(pub(crate) u64);

impl fmt::Display for HexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The first sorted name asks every listed member to found this cluster and no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) cluster_id: u128,
    /// The name of the node that claims.
    pub(crate) claimant: String,
    /// Sorted by name.
    pub(crate) members: Vec<ClaimedMember>,
    pub(crate) settings: Settings,
}

/// One line of a [`Claim`]: what becomes the record of this member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedMember {
    pub(crate) node_id: u64,
    pub(crate) record: Member,
}

impl Claim {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_u128(self.cluster_id);
        out.put_bytes_with_len(self.claimant.as_bytes());
        out.put_list(self.members.iter(), |out, member| {
            out.put_u64(member.node_id);
            record::put_member(out, &member.record);
        });
        self.settings.encode(out);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            cluster_id: reader.u128()?,
            claimant: reader.string()?,
            members: reader.list(|r| {
                Ok(ClaimedMember { node_id: r.u64()?, record: record::read_member(r)? })
            })?,
            settings: Settings::decode(reader)?,
        })
    }
}
