//! `Command` is what is replicated, `Outcome` what applying it says; both with their bytes.

mod code;
mod op;
mod outcome;

use std::fmt;
use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

pub(crate) use self::code::{put_bound, read_bound};
pub(crate) use self::op::{Attach, Compare, LeaseNumber, Op, Relation, Test, Txn};
pub(crate) use self::outcome::{Found, OpResult, Outcome, Rejection};
use crate::codec::{Decoded, Reader, Writer};

/// Longest key in bytes: LMDB's default limit, and no prefix is added.
pub(crate) const MAX_KEY_BYTES: usize = 511;
/// Largest `max_value_bytes` anyone can set; decoders accept up to it, whatever is set now.
pub(crate) const CEILING_VALUE_BYTES: u32 = 64 << 20;
/// Largest `max_command_bytes` anyone can set: a maximal value and room for its neighbours.
pub(crate) const CEILING_COMMAND_BYTES: u32 = 80 << 20;
/// A session without a command for this long in cluster time ends (15 min, far beyond any
/// deadline that a retry can have).
pub(crate) const SESSION_TTL_MS: u64 = 15 * 60 * 1000;
/// Unfinished commands that one session may have; the proposer waits beyond it.
pub(crate) const MAX_UNFINISHED: usize = 4096;
/// Sessions that the cluster holds at most: ten thousand processes and their restarts.
pub(crate) const MAX_SESSIONS: u64 = 65_536;
/// Largest outcome that a session keeps whole; a larger one replays as [`Outcome::AppliedAt`].
pub(crate) const MAX_STORED_OUTCOME_BYTES: usize = 64 << 10;
/// Comparisons and operations that one transaction has at most, all lists together.
pub(crate) const MAX_TXN_OPS: usize = 1024;
/// Shortest and longest time to live of a lease: a tenth of a second, about ten years.
pub(crate) const MIN_TTL_MS: u64 = 100;
pub(crate) const MAX_TTL_MS: u64 = 10 * 366 * 24 * 3600 * 1000;
/// Leases at most, those of single keys included: they are held in memory.
pub(crate) const MAX_LEASES: u64 = 1 << 20;
/// Leases that one command keeps alive or ends.
pub(crate) const MAX_LEASES_AT_ONCE: usize = 1024;
/// Keys that one command takes away because their leases have ended: more would hold writes up.
pub(crate) const MAX_KEYS_ENDED_AT_ONCE: usize = 1024;
/// Locks held at a time, and leases that wait for one of them.
pub(crate) const MAX_LOCKS: u64 = 1 << 18;
pub(crate) const MAX_LOCK_WAITERS: u64 = 4096;
/// Longest name of a lock, and longest request id, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 255;
/// Longest name of whoever a request id belongs to, in bytes.
pub(crate) const MAX_PRINCIPAL_BYTES: usize = 127;
/// How long an answered request is remembered in cluster time: longer than any client retries.
pub(crate) const REQUEST_TTL_MS: u64 = 3600 * 1000;
/// Requests that are remembered at most, and what their answers may take.
pub(crate) const MAX_REQUESTS: u64 = 1 << 18;
pub(crate) const MAX_REQUESTS_BYTES: u64 = 256 << 20;

/// Names one start of one process: random, registered by [`Command::OpenSession`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u128);

/// Which command of which session this is, so that asking again never applies it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) session: SessionId,
    pub(crate) sequence: u64,
    /// Every sequence below is finished: its outcome may be forgotten, and it never executes.
    pub(crate) done_below: u64,
}

/// What the leader adds when it proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Led time so far in milliseconds: the only clock that decides anything.
    pub(crate) cluster_ms: u64,
    /// Wall time in milliseconds since 1970, for people only.
    pub(crate) wall_ms: u64,
}

/// The settings that all nodes share; flags only seed them when the cluster is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Keys and values beyond this many bytes are refused as `Full`.
    pub(crate) storage_limit_bytes: u64,
    pub(crate) max_value_bytes: u32,
    pub(crate) max_command_bytes: u32,
    pub(crate) heartbeat_interval_ms: u32,
    /// Elections wait between this and twice this.
    pub(crate) election_timeout_ms: u32,
    pub(crate) format_level: u16,
}

/// One change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// The first command of a cluster: who it is and by which settings it lives.
    Found {
        cluster_id: u128,
        revision_base: u64,
        settings: Settings,
    },
    /// One step, if the test holds of its key.
    Write {
        op: Op,
        test: Option<Test>,
    },
    Txn(Txn),
    /// Takes away every key in a range.
    DeleteRange {
        range: KeyRange,
    },
    OpenSession {
        session: SessionId,
    },
    EndSession {
        session: SessionId,
    },
    /// Ends sessions whose deadline has passed; apply checks each deadline again.
    ExpireSessions {
        sessions: Vec<(SessionId, u64)>,
    },
    /// Replaces the shared settings, but for the format level.
    ChangeSettings {
        settings: Settings,
    },
    /// Lets the cluster write a newer format: every member knows it.
    RaiseFormat {
        level: u16,
    },
    GrantLease {
        ttl_ms: u64,
    },
    /// Begins the time to live of each lease anew.
    KeepAlive {
        leases: Vec<LeaseNumber>,
    },
    RevokeLease {
        lease: LeaseNumber,
    },
    /// Ends leases whose deadline has passed; apply checks each deadline again. An empty list
    /// only moves the cluster time on.
    ExpireLeases {
        leases: Vec<(LeaseNumber, u64)>,
    },
    /// Takes a lock for a lease, or a place in its queue.
    Lock {
        name: Bytes,
        lease: LeaseNumber,
        wait: bool,
    },
    /// Gives a lock back, or a place in its queue.
    Unlock {
        name: Bytes,
        lease: LeaseNumber,
    },
    /// Has every node note the hash of its state as of this entry; changes nothing.
    Verify,
    /// A command that is applied once for each request id, whoever sends it and how often.
    Once {
        request: RequestId,
        command: Box<Self>,
    },
}

/// A range of keys.
pub(crate) type KeyRange = (Bound<Bytes>, Bound<Bytes>);

/// Names a request of someone outside: unique for its principal for as long as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId {
    /// Who asks, so that no one reads another's answers; empty for members.
    pub(crate) principal: Bytes,
    pub(crate) id: Bytes,
}

/// One log entry of ours: stamp, origin and command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) stamp: Stamp,
    pub(crate) origin: Option<Origin>,
    pub(crate) command: Command,
}

/// The bytes of a [`Proposal`] as they stand in the log: encoded once, decoded in apply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

impl Command {
    /// Makes the plain write of a value.
    pub(crate) const fn put(key: Bytes, value: Bytes) -> Self {
        let op = Op::Put { key, value, attach: Attach::None, want_previous: false };
        Self::Write { op, test: None }
    }

    /// Makes the plain removal of a key.
    pub(crate) const fn delete(key: Bytes) -> Self {
        Self::Write { op: Op::Delete { key, want_previous: false }, test: None }
    }

    /// Returns whether the command may carry a request id: what users write, not what nodes do.
    pub(crate) const fn is_for_outsiders(&self) -> bool {
        match self {
            Self::Write { .. }
            | Self::Txn(_)
            | Self::DeleteRange { .. }
            | Self::GrantLease { .. }
            | Self::RevokeLease { .. }
            | Self::Lock { .. }
            | Self::Unlock { .. } => true,
            Self::Found { .. }
            | Self::OpenSession { .. }
            | Self::EndSession { .. }
            | Self::ExpireSessions { .. }
            | Self::ChangeSettings { .. }
            | Self::RaiseFormat { .. }
            | Self::KeepAlive { .. }
            | Self::ExpireLeases { .. }
            | Self::Verify
            | Self::Once { .. } => false,
        }
    }

    /// Returns the first format that has the command: a cluster of an older one does not take it.
    ///
    /// What a later format adds to a command that is here already counts too: its new field, its
    /// new meaning.
    pub(crate) fn since(&self) -> u16 {
        match self {
            Self::Found { .. }
            | Self::Write { .. }
            | Self::Txn(_)
            | Self::DeleteRange { .. }
            | Self::OpenSession { .. }
            | Self::EndSession { .. }
            | Self::ExpireSessions { .. }
            | Self::ChangeSettings { .. }
            | Self::GrantLease { .. }
            | Self::KeepAlive { .. }
            | Self::RevokeLease { .. }
            | Self::ExpireLeases { .. }
            | Self::Lock { .. }
            | Self::Verify
            | Self::Unlock { .. } => 1,
            Self::Once { command, .. } => command.since().max(1),
            // It leads out of every format.
            Self::RaiseFormat { .. } => 0,
        }
    }

    /// Returns whether only a leader proposes the command, by itself.
    pub(crate) const fn is_for_leaders(&self) -> bool {
        matches!(
            self,
            Self::Found { .. }
                | Self::ExpireSessions { .. }
                | Self::ExpireLeases { .. }
                | Self::RaiseFormat { .. }
        )
    }

    /// Returns whether the command may enter while the disk or the map is full: what frees space,
    /// and what keeps those alive who free it.
    pub(crate) fn frees_space(&self) -> bool {
        match self {
            Self::Write { op, .. } => !op.grows(),
            Self::Txn(txn) => !txn.then.iter().chain(&txn.otherwise).any(Op::grows),
            Self::Once { command, .. } => command.frees_space(),
            Self::GrantLease { .. } | Self::Lock { .. } => false,
            Self::Found { .. }
            | Self::DeleteRange { .. }
            | Self::OpenSession { .. }
            | Self::EndSession { .. }
            | Self::ExpireSessions { .. }
            | Self::ChangeSettings { .. }
            | Self::RaiseFormat { .. }
            | Self::KeepAlive { .. }
            | Self::RevokeLease { .. }
            | Self::ExpireLeases { .. }
            | Self::Verify
            | Self::Unlock { .. } => true,
        }
    }
}

impl Settings {
    /// Returns whether two nodes were told the same; the format is of their releases.
    pub(crate) fn agree_with(&self, other: &Self) -> bool {
        Self { format_level: other.format_level, ..*self } == *other
    }

    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_u64(self.storage_limit_bytes);
        out.put_u32(self.max_value_bytes);
        out.put_u32(self.max_command_bytes);
        out.put_u32(self.heartbeat_interval_ms);
        out.put_u32(self.election_timeout_ms);
        out.put_u16(self.format_level);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            storage_limit_bytes: reader.u64()?,
            max_value_bytes: reader.u32()?,
            max_command_bytes: reader.u32()?,
            heartbeat_interval_ms: reader.u32()?,
            election_timeout_ms: reader.u32()?,
            format_level: reader.u16()?,
        })
    }
}

impl Origin {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_u128(self.session.0);
        out.put_u64(self.sequence);
        out.put_u64(self.done_below);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            session: SessionId(reader.u128()?),
            sequence: reader.u64()?,
            done_below: reader.u64()?,
        })
    }
}

impl Payload {
    /// Builds the log bytes around a command that is already encoded.
    pub(crate) fn new(stamp: Stamp, origin: Option<Origin>, command: &[u8]) -> Self {
        let mut out = BytesMut::with_capacity(64 + command.len());
        out.put_u64(stamp.cluster_ms);
        out.put_u64(stamp.wall_ms);
        out.put_option(origin, |out, origin| origin.encode(out));
        out.put_slice(command);
        Self(out.freeze())
    }

    pub(crate) fn proposal(&self) -> Decoded<Proposal> {
        let mut reader = Reader::new(self.0.clone());
        let stamp = Stamp { cluster_ms: reader.u64()?, wall_ms: reader.u64()? };
        let origin = reader.option(Origin::decode)?;
        Ok(Proposal { stamp, origin, command: Command::decode(reader.rest())? })
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
