//! `Op` is one step of a write, `Test` what must hold for it, `Txn` several of both as one.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{MAX_KEY_BYTES, MAX_TTL_MS, MAX_TXN_OPS, MIN_TTL_MS};
use crate::codec::{DecodeError, Decoded, Reader, Writer};

/// Names a lease: never 0, never used again.
pub(crate) type LeaseNumber = u64;

/// One step of a write; it touches one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Op {
    Get {
        key: Bytes,
    },
    Put {
        key: Bytes,
        value: Bytes,
        attach: Attach,
        want_previous: bool,
    },
    Delete {
        key: Bytes,
        want_previous: bool,
    },
    /// Adds to the decimal number under the key, which stays with its lease.
    Increment {
        key: Bytes,
        delta: i64,
    },
}

/// What ends the life of a value that is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attach {
    /// Only another write.
    None,
    /// The end of a lease that was granted before.
    Lease(LeaseNumber),
    /// A lease of its own that nobody keeps alive.
    Ttl(u64),
}

/// How two things must compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    Greater,
}

/// What must hold of the entry under a key. An absent key has revision and creation 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Revision(Relation, u64),
    Created(Relation, u64),
    /// Bytewise; of an absent key no comparison of values holds.
    Value(Relation, Bytes),
    Exists(bool),
}

/// A test of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) key: Bytes,
    pub(crate) test: Test,
}

/// If all tests hold the first list of steps, else the second; at once or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Txn {
    pub(crate) compares: Vec<Compare>,
    pub(crate) then: Vec<Op>,
    pub(crate) otherwise: Vec<Op>,
}

impl Op {
    pub(crate) const fn key(&self) -> &Bytes {
        match self {
            Self::Get { key }
            | Self::Put { key, .. }
            | Self::Delete { key, .. }
            | Self::Increment { key, .. } => key,
        }
    }

    /// Returns whether the step may make the map larger.
    pub(crate) const fn grows(&self) -> bool {
        match self {
            Self::Put { .. } | Self::Increment { .. } => true,
            Self::Get { .. } | Self::Delete { .. } => false,
        }
    }

    pub(super) fn data_len(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.len(),
            Self::Get { .. } | Self::Delete { .. } | Self::Increment { .. } => 0,
        };
        self.key().len() + value + 32
    }

    pub(super) fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::Get { key } => {
                out.put_u8(1);
                out.put_bytes_with_len(key);
            }
            Self::Put { key, value, attach, want_previous } => {
                out.put_u8(2);
                out.put_bytes_with_len(key);
                out.put_bytes_with_len(value);
                attach.encode(out);
                out.put_bool(*want_previous);
            }
            Self::Delete { key, want_previous } => {
                out.put_u8(3);
                out.put_bytes_with_len(key);
                out.put_bool(*want_previous);
            }
            Self::Increment { key, delta } => {
                out.put_u8(4);
                out.put_bytes_with_len(key);
                out.put_i64(*delta);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Get { key: read_key(reader)? },
            2 => Self::Put {
                key: read_key(reader)?,
                value: reader.bytes()?,
                attach: Attach::decode(reader)?,
                want_previous: reader.bool()?,
            },
            3 => Self::Delete { key: read_key(reader)?, want_previous: reader.bool()? },
            4 => Self::Increment { key: read_key(reader)?, delta: reader.i64()? },
            tag => return Err(DecodeError::new(format!("step {tag} is unknown"))),
        })
    }
}

impl Attach {
    fn encode<W: Writer>(self, out: &mut W) {
        match self {
            Self::None => out.put_u8(0),
            Self::Lease(lease) => {
                out.put_u8(1);
                out.put_u64(lease);
            }
            Self::Ttl(ttl_ms) => {
                out.put_u8(2);
                out.put_u64(ttl_ms);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            0 => Self::None,
            1 => Self::Lease(read_lease(reader)?),
            2 => Self::Ttl(read_ttl(reader)?),
            tag => return Err(DecodeError::new(format!("attachment {tag} is unknown"))),
        })
    }
}

impl Relation {
    pub(crate) fn holds<T: Ord + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::Greater => left > right,
        }
    }

    const fn tag(self) -> u8 {
        match self {
            Self::Equal => 1,
            Self::NotEqual => 2,
            Self::Less => 3,
            Self::Greater => 4,
        }
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Equal,
            2 => Self::NotEqual,
            3 => Self::Less,
            4 => Self::Greater,
            tag => return Err(DecodeError::new(format!("relation {tag} is unknown"))),
        })
    }
}

impl Test {
    pub(super) fn data_len(&self) -> usize {
        match self {
            Self::Value(_, value) => value.len() + 16,
            Self::Revision(..) | Self::Created(..) | Self::Exists(_) => 16,
        }
    }

    pub(super) fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::Revision(relation, revision) => {
                out.put_u8(1);
                out.put_u8(relation.tag());
                out.put_u64(*revision);
            }
            Self::Created(relation, revision) => {
                out.put_u8(2);
                out.put_u8(relation.tag());
                out.put_u64(*revision);
            }
            Self::Value(relation, value) => {
                out.put_u8(3);
                out.put_u8(relation.tag());
                out.put_bytes_with_len(value);
            }
            Self::Exists(exists) => {
                out.put_u8(4);
                out.put_bool(*exists);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Revision(Relation::decode(reader)?, reader.u64()?),
            2 => Self::Created(Relation::decode(reader)?, reader.u64()?),
            3 => Self::Value(Relation::decode(reader)?, reader.bytes()?),
            4 => Self::Exists(reader.bool()?),
            tag => return Err(DecodeError::new(format!("test {tag} is unknown"))),
        })
    }
}

impl Txn {
    /// Checks what makes a transaction one: at most 1024 steps and tests in all, and in each list
    /// every key once, since the order of the steps says nothing.
    pub(crate) fn check(&self) -> Result<(), String> {
        let count = self.compares.len() + self.then.len() + self.otherwise.len();
        if count > MAX_TXN_OPS {
            return Err(format!(
                "the transaction has {count} comparisons and operations; it takes {MAX_TXN_OPS} in all"
            ));
        }
        for (branch, ops) in [("then", &self.then), ("else", &self.otherwise)] {
            let mut keys = BTreeSet::new();
            let mut ops = ops.iter().map(Op::key).enumerate();
            if let Some((index, twice)) = ops.find(|(_, key)| !keys.insert(*key)) {
                return Err(format!(
                    "{branch}[{index}]: the key {:?} stands before in this branch, which takes every key once",
                    twice.escape_ascii().to_string()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn data_len(&self) -> usize {
        let compares: usize =
            self.compares.iter().map(|compare| compare.key.len() + compare.test.data_len()).sum();
        let ops: usize = self.then.iter().chain(&self.otherwise).map(Op::data_len).sum();
        compares + ops
    }

    pub(super) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_list(self.compares.iter(), |out, compare| {
            out.put_bytes_with_len(&compare.key);
            compare.test.encode(out);
        });
        for ops in [&self.then, &self.otherwise] {
            out.put_list(ops.iter(), |out, op| op.encode(out));
        }
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        let txn = Self {
            compares: reader.list(|r| Ok(Compare { key: read_key(r)?, test: Test::decode(r)? }))?,
            then: reader.list(Op::decode)?,
            otherwise: reader.list(Op::decode)?,
        };
        txn.check().map_err(DecodeError::new)?;
        Ok(txn)
    }
}

pub(super) fn read_key(reader: &mut Reader) -> Decoded<Bytes> {
    let key = reader.bytes()?;
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(DecodeError::new(format!("a key of {} bytes", key.len())));
    }
    Ok(key)
}

pub(super) fn read_lease(reader: &mut Reader) -> Decoded<LeaseNumber> {
    match reader.u64()? {
        0 => Err(DecodeError::new("a lease with the number 0")),
        lease => Ok(lease),
    }
}

pub(super) fn read_ttl(reader: &mut Reader) -> Decoded<u64> {
    let ttl_ms = reader.u64()?;
    if !(MIN_TTL_MS..=MAX_TTL_MS).contains(&ttl_ms) {
        return Err(DecodeError::new(format!("a time to live of {ttl_ms} ms")));
    }
    Ok(ttl_ms)
}
