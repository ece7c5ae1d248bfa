//! `Outcome` is what applying a command says, the same on every node.

use bytes::Bytes;

use super::op::LeaseNumber;
use crate::codec::{DecodeError, Decoded, Reader, Writer};

/// What applying a command said; the same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An internal command or entry that has nothing to tell.
    Done,
    /// What one write did.
    Written {
        revision: u64,
        result: OpResult,
    },
    /// Applied before; its outcome was too large to keep.
    AppliedAt {
        revision: u64,
    },
    /// Refused by every node alike; nothing was changed.
    Rejected(Rejection),
    /// As `Rejected`, because of one step of the list of a transaction that was to run.
    StepRejected {
        succeeded: bool,
        step: u32,
        rejection: Rejection,
    },
    /// Which list of a transaction ran, and what each of its steps did.
    Txn {
        revision: u64,
        succeeded: bool,
        results: Vec<OpResult>,
    },
    RangeDeleted {
        revision: u64,
        deleted: u64,
    },
    LeaseGranted {
        lease: LeaseNumber,
    },
    /// Which of the leases that were to be kept alive are gone.
    KeptAlive {
        gone: Vec<LeaseNumber>,
    },
    /// The lease is over; so many of its keys are left to be taken away.
    LeaseRevoked {
        keys_left: u64,
    },
    /// The lease holds the lock since this revision, its fencing token.
    Locked {
        token: u64,
    },
    /// The lease waits for the lock, as of this revision behind so many others.
    Queued {
        revision: u64,
        ahead: u64,
    },
    /// Every node has noted the hash of its state as of this revision.
    Sampled {
        revision: u64,
    },
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OpResult {
    Got(Option<Found>),
    Put { replaced: bool, previous: Option<Found> },
    Deleted { existed: bool, previous: Option<Found> },
    Incremented(i64),
}

/// An entry without its key, as it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) value: Bytes,
    pub(crate) revision: u64,
    pub(crate) created: u64,
    /// 0 for none.
    pub(crate) lease: u64,
}

/// Why every node refuses a command alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The session is unknown: never opened, ended or expired.
    SessionExpired,
    /// The sequence is below `done_below`: finished before, its outcome forgotten.
    Stale,
    /// The map would grow beyond its limit.
    Full {
        used: u64,
        limit: u64,
    },
    TooManySessions,
    /// The value is larger than the cluster's `max_value_bytes`.
    ValueTooLarge {
        limit: u32,
    },
    /// The cluster has been founded before, or has not been founded yet.
    OutOfPlace,
    /// The test of a write did not hold; carries the revision of the entry, 0 if there is none.
    Conflict {
        revision: u64,
    },
    /// The lease was never granted, has ended or is ending.
    LeaseNotFound {
        lease: LeaseNumber,
    },
    TooManyLeases {
        limit: u64,
    },
    /// The lock is held and its caller does not wait.
    LockHeld {
        token: u64,
    },
    TooManyWaiters {
        limit: u64,
    },
    /// The lease neither holds the lock nor waits for it.
    NotLockHolder,
    TooManyLocks {
        limit: u64,
    },
    /// The value under the key is not a decimal i64.
    NotANumber,
    /// The sum would not fit into an i64.
    Overflow {
        value: i64,
    },
    /// What the transaction reads is larger than the cluster's `max_command_bytes`.
    ResultTooLarge {
        limit: u32,
    },
    /// The request id was used for another request.
    RequestReused,
    /// No room to remember another request.
    TooManyRequests {
        limit: u64,
    },
}

impl Outcome {
    /// Tags are append-only. A write without a previous entry keeps its short form.
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::Done => out.put_u8(1),
            Self::Written { revision, result: OpResult::Put { replaced, previous: None } } => {
                out.put_u8(2);
                out.put_u64(*revision);
                out.put_bool(*replaced);
            }
            Self::Written { revision, result: OpResult::Deleted { existed, previous: None } } => {
                out.put_u8(3);
                out.put_u64(*revision);
                out.put_bool(*existed);
            }
            Self::AppliedAt { revision } => {
                out.put_u8(4);
                out.put_u64(*revision);
            }
            Self::Rejected(rejection) => {
                out.put_u8(5);
                rejection.encode(out);
            }
            Self::Written { revision, result } => {
                out.put_u8(6);
                out.put_u64(*revision);
                result.encode(out);
            }
            Self::Txn { revision, succeeded, results } => {
                out.put_u8(7);
                out.put_u64(*revision);
                out.put_bool(*succeeded);
                out.put_list(results.iter(), |out, result| result.encode(out));
            }
            Self::RangeDeleted { revision, deleted } => {
                out.put_u8(8);
                out.put_u64(*revision);
                out.put_u64(*deleted);
            }
            Self::LeaseGranted { lease } => {
                out.put_u8(9);
                out.put_u64(*lease);
            }
            Self::KeptAlive { gone } => {
                out.put_u8(10);
                out.put_list(gone.iter(), |out, lease| out.put_u64(*lease));
            }
            Self::LeaseRevoked { keys_left } => {
                out.put_u8(11);
                out.put_u64(*keys_left);
            }
            Self::Locked { token } => {
                out.put_u8(12);
                out.put_u64(*token);
            }
            Self::Queued { revision, ahead } => {
                out.put_u8(13);
                out.put_u64(*revision);
                out.put_u64(*ahead);
            }
            Self::StepRejected { succeeded, step, rejection } => {
                out.put_u8(14);
                out.put_bool(*succeeded);
                out.put_u32(*step);
                rejection.encode(out);
            }
            Self::Sampled { revision } => {
                out.put_u8(15);
                out.put_u64(*revision);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Done,
            2 => {
                let revision = reader.u64()?;
                let result = OpResult::Put { replaced: reader.bool()?, previous: None };
                Self::Written { revision, result }
            }
            3 => {
                let revision = reader.u64()?;
                let result = OpResult::Deleted { existed: reader.bool()?, previous: None };
                Self::Written { revision, result }
            }
            4 => Self::AppliedAt { revision: reader.u64()? },
            5 => Self::Rejected(Rejection::decode(reader)?),
            6 => Self::Written { revision: reader.u64()?, result: OpResult::decode(reader)? },
            7 => Self::Txn {
                revision: reader.u64()?,
                succeeded: reader.bool()?,
                results: reader.list(OpResult::decode)?,
            },
            8 => Self::RangeDeleted { revision: reader.u64()?, deleted: reader.u64()? },
            9 => Self::LeaseGranted { lease: reader.u64()? },
            10 => Self::KeptAlive { gone: reader.list(Reader::u64)? },
            11 => Self::LeaseRevoked { keys_left: reader.u64()? },
            12 => Self::Locked { token: reader.u64()? },
            13 => Self::Queued { revision: reader.u64()?, ahead: reader.u64()? },
            14 => Self::StepRejected {
                succeeded: reader.bool()?,
                step: reader.u32()?,
                rejection: Rejection::decode(reader)?,
            },
            15 => Self::Sampled { revision: reader.u64()? },
            tag => return Err(DecodeError::new(format!("outcome {tag} is unknown"))),
        })
    }
}

impl OpResult {
    /// Returns about how many bytes the result has when it is encoded.
    pub(crate) fn data_len(&self) -> usize {
        let found = match self {
            Self::Got(found) => found,
            Self::Put { previous, .. } | Self::Deleted { previous, .. } => previous,
            Self::Incremented(_) => &None,
        };
        16 + found.as_ref().map_or(0, |found| found.value.len() + 32)
    }

    fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::Got(found) => {
                out.put_u8(1);
                put_found(out, found.as_ref());
            }
            Self::Put { replaced, previous } => {
                out.put_u8(2);
                out.put_bool(*replaced);
                put_found(out, previous.as_ref());
            }
            Self::Deleted { existed, previous } => {
                out.put_u8(3);
                out.put_bool(*existed);
                put_found(out, previous.as_ref());
            }
            Self::Incremented(value) => {
                out.put_u8(4);
                out.put_i64(*value);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Got(reader.option(Found::decode)?),
            2 => Self::Put { replaced: reader.bool()?, previous: reader.option(Found::decode)? },
            3 => Self::Deleted { existed: reader.bool()?, previous: reader.option(Found::decode)? },
            4 => Self::Incremented(reader.i64()?),
            tag => return Err(DecodeError::new(format!("result {tag} is unknown"))),
        })
    }
}

impl Found {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_bytes_with_len(&self.value);
        out.put_u64(self.revision);
        out.put_u64(self.created);
        out.put_u64(self.lease);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            value: reader.bytes()?,
            revision: reader.u64()?,
            created: reader.u64()?,
            lease: reader.u64()?,
        })
    }
}

fn put_found<W: Writer>(out: &mut W, found: Option<&Found>) {
    out.put_option(found, |out, found| found.encode(out));
}

impl Rejection {
    /// Returns whether the same command may succeed once something else has made room.
    pub(crate) const fn is_for_want_of_room(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::TooManyLeases { .. }
                | Self::TooManyLocks { .. }
                | Self::TooManyWaiters { .. }
        )
    }

    fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::SessionExpired => out.put_u8(1),
            Self::Stale => out.put_u8(2),
            Self::Full { used, limit } => {
                out.put_u8(3);
                out.put_u64(*used);
                out.put_u64(*limit);
            }
            Self::TooManySessions => out.put_u8(4),
            Self::ValueTooLarge { limit } => {
                out.put_u8(5);
                out.put_u32(*limit);
            }
            Self::OutOfPlace => out.put_u8(6),
            Self::Conflict { revision } => put_tagged(out, 7, *revision),
            Self::LeaseNotFound { lease } => put_tagged(out, 8, *lease),
            Self::TooManyLeases { limit } => put_tagged(out, 9, *limit),
            Self::LockHeld { token } => put_tagged(out, 10, *token),
            Self::TooManyWaiters { limit } => put_tagged(out, 11, *limit),
            Self::NotLockHolder => out.put_u8(12),
            Self::NotANumber => out.put_u8(13),
            Self::Overflow { value } => {
                out.put_u8(14);
                out.put_i64(*value);
            }
            Self::ResultTooLarge { limit } => {
                out.put_u8(15);
                out.put_u32(*limit);
            }
            Self::RequestReused => out.put_u8(16),
            Self::TooManyRequests { limit } => put_tagged(out, 17, *limit),
            Self::TooManyLocks { limit } => put_tagged(out, 18, *limit),
        }
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::SessionExpired,
            2 => Self::Stale,
            3 => Self::Full { used: reader.u64()?, limit: reader.u64()? },
            4 => Self::TooManySessions,
            5 => Self::ValueTooLarge { limit: reader.u32()? },
            6 => Self::OutOfPlace,
            7 => Self::Conflict { revision: reader.u64()? },
            8 => Self::LeaseNotFound { lease: reader.u64()? },
            9 => Self::TooManyLeases { limit: reader.u64()? },
            10 => Self::LockHeld { token: reader.u64()? },
            11 => Self::TooManyWaiters { limit: reader.u64()? },
            12 => Self::NotLockHolder,
            13 => Self::NotANumber,
            14 => Self::Overflow { value: reader.i64()? },
            15 => Self::ResultTooLarge { limit: reader.u32()? },
            16 => Self::RequestReused,
            17 => Self::TooManyRequests { limit: reader.u64()? },
            18 => Self::TooManyLocks { limit: reader.u64()? },
            tag => return Err(DecodeError::new(format!("rejection {tag} is unknown"))),
        })
    }
}

fn put_tagged<W: Writer>(out: &mut W, tag: u8, number: u64) {
    out.put_u8(tag);
    out.put_u64(number);
}
