//! `Status` is what a node says of itself, without asking anyone.

use std::collections::BTreeMap;

use crate::error::Error;

/// What a node does in its cluster now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Role {
    /// Orders the writes.
    Leader,
    /// Votes, and follows a leader.
    Follower,
    /// Looks for a majority: asks for votes, or leads and does not reach one any more.
    Candidate,
    /// Replicates without a vote, or is no member yet.
    Learner,
    /// Has no part in the cluster: it asks members.
    Client,
    /// Has stopped: closed, or failed.
    #[default]
    Stopped,
}

impl Role {
    /// Returns the role in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
            Self::Learner => "learner",
            Self::Client => "client",
            Self::Stopped => "stopped",
        }
    }
}

/// One member, as the newest membership that this node knows records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The user's word for it.
    pub name: String,
    /// 16 hexadecimal digits, born with its data directory.
    pub node_id: String,
    /// `host:port` of its QUIC endpoint; empty if it has none.
    pub address: String,
    /// The base URL of its HTTP interface; empty if it advertises none.
    pub http: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it votes.
    pub voter: bool,
    /// Index of the last log entry that it is known to have, compared with
    /// [`last_log`](Status::last_log) how far it has caught up. Only the leader knows it.
    pub matched: Option<u64>,
    /// The connection by which this node asks it; `None` while there is none, as to itself,
    /// and for a client.
    pub link: Option<LinkStatus>,
}

/// The QUIC connection from this node to a member, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinkStatus {
    /// How long a packet and its acknowledgement take, in microseconds, smoothed (RFC 9002).
    pub round_trip_micros: u64,
    /// Packets sent.
    pub packets_sent: u64,
    /// Those of them that were lost, and sent again.
    pub packets_lost: u64,
}

/// What a node says of itself. Known locally; a leader that has just been deposed may not know yet.
///
/// A client ([`ReplicatedMap::connect`](crate::ReplicatedMap::connect)) tells what members told it of
/// the cluster. It has no log and no state: their indexes and counts are 0.
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// map.wait_ready(std::time::Duration::from_secs(10)).await?;
/// let status = map.status();
/// assert!(status.ready && status.is_leader());
/// assert_eq!(status.leader.as_deref(), Some("node"));
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The name of this node.
    pub name: String,
    /// 16 hexadecimal digits, born with the data directory.
    pub node_id: String,
    /// The `host:port` at which peers reach it by QUIC; empty if it has no socket.
    pub address: String,
    /// 32 hexadecimal digits; `None` until the cluster is founded.
    pub cluster_id: Option<String>,
    /// The name of the leader; `None` while unknown.
    pub leader: Option<String>,
    /// The leader's base URL; `None` while unknown or if it advertises none.
    pub leader_http: Option<String>,
    /// What this node does now.
    pub role: Role,
    /// The term of the newest leader or candidate it has seen.
    pub term: u64,
    /// Index of the first log entry that this node still has; those before are in its state only.
    pub first_log: u64,
    /// Index of the last log entry on this node; 0 if there is none.
    pub last_log: u64,
    /// Index of the last entry known to be committed.
    pub committed: u64,
    /// Index of the last entry applied here.
    pub applied: u64,
    /// The revision of the last entry applied here.
    pub revision: u64,
    /// Keys in the map, as applied here.
    pub keys: u64,
    /// Bytes of all keys and values, as applied here.
    pub bytes: u64,
    /// One number over all that is replicated, in 16 hexadecimal digits: nodes that have applied
    /// the same have the same.
    pub state_hash: String,
    /// The members, sorted by name.
    pub members: Vec<MemberStatus>,
    /// Whether this node has recovered and knows a leader.
    pub ready: bool,
    /// Whether the disk is full: only writes that free space are let in.
    pub disk_full: bool,
    /// What the last comparison of the members' states
    /// ([`verify`](crate::ReplicatedMap::verify)) found wrong here, in words. A node that is not
    /// `ready` for it serves no reads until it has fetched its state from another member.
    pub divergence: Option<String>,
    /// The error that stopped this node, if one did.
    pub failure: Option<Error>,
    /// The format that the cluster writes: it rises once every member runs a release that knows a
    /// newer one, and from then on no older release opens this node. 0 until the cluster is founded.
    pub format_level: u16,
    /// The version of the library.
    pub version: &'static str,
}

impl Status {
    /// Returns whether this node leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }
}
