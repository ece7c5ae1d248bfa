//! `Txn` is several comparisons and operations that are applied at once, or not at all.

use std::cmp::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::write::checked_ttl;
use super::{Entry, LeaseId};
use crate::command::{self, Attach, MAX_KEY_BYTES, Relation, Test};
use crate::error::{Error, Result};

/// How two sides of a [`Compare`] must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cmp {
    /// Both are the same.
    Equal,
    /// They differ.
    NotEqual,
    /// The entry's side is smaller; values are compared bytewise.
    Less,
    /// The entry's side is larger.
    Greater,
}

impl From<Ordering> for Cmp {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Less => Self::Less,
            Ordering::Equal => Self::Equal,
            Ordering::Greater => Self::Greater,
        }
    }
}

impl From<Cmp> for Relation {
    fn from(cmp: Cmp) -> Self {
        match cmp {
            Cmp::Equal => Self::Equal,
            Cmp::NotEqual => Self::NotEqual,
            Cmp::Less => Self::Less,
            Cmp::Greater => Self::Greater,
        }
    }
}

/// What must hold of one key for a transaction to succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare(command::Compare);

impl Compare {
    /// Compares the revision of the last change; an absent key has 0.
    #[must_use]
    pub fn revision(key: impl AsRef<[u8]>, cmp: Cmp, revision: u64) -> Self {
        Self::new(key, Test::Revision(cmp.into(), revision))
    }

    /// Compares the revision at which the key was created; an absent key has 0.
    #[must_use]
    pub fn created(key: impl AsRef<[u8]>, cmp: Cmp, revision: u64) -> Self {
        Self::new(key, Test::Created(cmp.into(), revision))
    }

    /// Compares the value bytewise. Of an absent key no such comparison holds, not even
    /// [`Cmp::NotEqual`].
    #[must_use]
    pub fn value(key: impl AsRef<[u8]>, cmp: Cmp, value: impl AsRef<[u8]>) -> Self {
        Self::new(key, Test::Value(cmp.into(), Bytes::copy_from_slice(value.as_ref())))
    }

    /// Holds if the key has no value.
    #[must_use]
    pub fn absent(key: impl AsRef<[u8]>) -> Self {
        Self::new(key, Test::Exists(false))
    }

    /// Holds if the key has a value.
    #[must_use]
    pub fn present(key: impl AsRef<[u8]>) -> Self {
        Self::new(key, Test::Exists(true))
    }

    fn new(key: impl AsRef<[u8]>, test: Test) -> Self {
        Self(command::Compare { key: Bytes::copy_from_slice(key.as_ref()), test })
    }
}

/// One operation of a [`Txn`]; each key may stand once in a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    op: command::Op,
    ttl: Option<Duration>,
}

impl Op {
    /// Reads the entry as it stood before the transaction.
    #[must_use]
    pub fn get(key: impl AsRef<[u8]>) -> Self {
        Self::new(command::Op::Get { key: copied(key) })
    }

    /// Gives the key a value.
    #[must_use]
    pub fn put(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        Self::new(command::Op::Put {
            key: copied(key),
            value: copied(value),
            attach: Attach::None,
            want_previous: false,
        })
    }

    /// Takes the key away.
    #[must_use]
    pub fn delete(key: impl AsRef<[u8]>) -> Self {
        Self::new(command::Op::Delete { key: copied(key), want_previous: false })
    }

    /// Adds to the decimal number under the key; an absent key counts as 0.
    #[must_use]
    pub fn increment(key: impl AsRef<[u8]>, delta: i64) -> Self {
        Self::new(command::Op::Increment { key: copied(key), delta })
    }

    /// Has a put or delete answer with the entry that was there before.
    #[must_use]
    pub fn want_previous(mut self) -> Self {
        match &mut self.op {
            command::Op::Put { want_previous, .. } | command::Op::Delete { want_previous, .. } => {
                *want_previous = true;
            }
            command::Op::Get { .. } | command::Op::Increment { .. } => {}
        }
        self
    }

    /// Takes what a put writes away after this time; see [`WriteOptions::ttl`](crate::WriteOptions::ttl).
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Takes what a put writes away when the lease ends. Other operations have no lease.
    #[must_use]
    pub fn lease(mut self, lease: LeaseId) -> Self {
        if let command::Op::Put { attach, .. } = &mut self.op {
            *attach = Attach::Lease(lease.number());
        }
        self
    }

    const fn new(op: command::Op) -> Self {
        Self { op, ttl: None }
    }

    fn checked(self, max_value_bytes: usize) -> Result<command::Op> {
        let mut op = self.op;
        check_key(op.key())?;
        if let command::Op::Put { value, attach, .. } = &mut op {
            if value.len() > max_value_bytes {
                return Err(Error::invalid(format!(
                    "the value has {} bytes, and max_value_bytes is {max_value_bytes}",
                    value.len()
                )));
            }
            if let Some(ttl) = self.ttl {
                *attach = Attach::Ttl(checked_ttl(ttl)?);
            }
        } else if self.ttl.is_some() {
            return Err(Error::invalid("only a put takes a ttl; leave it out"));
        }
        Ok(op)
    }
}

/// Comparisons, and what to do if all of them hold, or else: at once, or not at all.
///
/// At most 1024 comparisons and operations in all. Every operation sees the map as it was before
/// the transaction, and all changes have one revision.
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use kvraft::{Cmp, Compare, Op, OpResult, Txn};
///
/// map.put("from", "10").await?;
/// let transfer = Txn::new()
///     .when(Compare::value("from", Cmp::Equal, "10"))
///     .then(Op::increment("from", -7))
///     .then(Op::increment("to", 7))
///     .or_else(Op::get("from"));
/// let done = map.txn(transfer).await?;
/// assert!(done.succeeded);
/// assert_eq!(done.results, [OpResult::Incremented(3), OpResult::Incremented(7)]);
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Txn {
    compares: Vec<Compare>,
    then: Vec<Op>,
    otherwise: Vec<Op>,
}

impl Txn {
    /// Makes a transaction that does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what must hold; all comparisons have to.
    #[must_use]
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Adds what is done if all comparisons hold, or if there is none.
    #[must_use]
    pub fn then(mut self, op: Op) -> Self {
        self.then.push(op);
        self
    }

    /// Adds what is done if some comparison does not hold.
    #[must_use]
    pub fn or_else(mut self, op: Op) -> Self {
        self.otherwise.push(op);
        self
    }

    /// Returns the keys of both branches in the order of their operations.
    pub(crate) fn keys(&self) -> [Vec<Bytes>; 2] {
        [&self.then, &self.otherwise].map(|ops| ops.iter().map(|op| op.op.key().clone()).collect())
    }

    pub(crate) fn checked(self, max_value_bytes: usize) -> Result<command::Txn> {
        let checked = |branch, ops: Vec<Op>| {
            let ops = ops.into_iter().enumerate().map(|(index, op)| {
                op.checked(max_value_bytes).map_err(|error| at(error, branch, index))
            });
            ops.collect::<Result<Vec<_>>>()
        };
        for (index, compare) in self.compares.iter().enumerate() {
            check_key(&compare.0.key).map_err(|error| at(error, "compares", index))?;
        }
        let txn = command::Txn {
            compares: self.compares.into_iter().map(|compare| compare.0).collect(),
            then: checked("then", self.then)?,
            otherwise: checked("else", self.otherwise)?,
        };
        txn.check().map_err(Error::invalid)?;
        Ok(txn)
    }
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnResult {
    /// The revision of every change in it.
    pub revision: u64,
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// What each operation of the branch that ran did, in its order.
    pub results: Vec<OpResult>,
}

/// What one operation of a [`Txn`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpResult {
    /// The entry, or `None` if the key had no value.
    Got(Option<Entry>),
    /// The key has the value.
    Put {
        /// Whether it had one before.
        replaced: bool,
        /// The entry before, if it was asked for and there was one.
        previous: Option<Entry>,
    },
    /// The key has no value.
    Deleted {
        /// Whether it had one before.
        existed: bool,
        /// The entry before, if it was asked for and there was one.
        previous: Option<Entry>,
    },
    /// The number under the key now.
    Incremented(i64),
}

impl OpResult {
    pub(crate) fn new(key: Bytes, result: command::OpResult) -> Self {
        let entry = |found: Option<command::Found>| found.map(|found| Entry::new(key, found));
        match result {
            command::OpResult::Got(found) => Self::Got(entry(found)),
            command::OpResult::Put { replaced, previous } => {
                Self::Put { replaced, previous: entry(previous) }
            }
            command::OpResult::Deleted { existed, previous } => {
                Self::Deleted { existed, previous: entry(previous) }
            }
            command::OpResult::Incremented(value) => Self::Incremented(value),
        }
    }
}

/// Says which step of a transaction is at fault.
fn at(error: Error, list: &str, index: usize) -> Error {
    error.context(format_args!("{list}[{index}]"))
}

fn copied(bytes: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(bytes.as_ref())
}

/// Refuses a key that could not be in the map.
pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    match key.len() {
        0 => Err(Error::invalid("the key is empty; keys have 1 to 511 bytes")),
        1..=MAX_KEY_BYTES => Ok(()),
        len => Err(Error::invalid(format!(
            "the key has {len} bytes; keys have 1 to {MAX_KEY_BYTES} bytes"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_transaction_is_said_of_the_step_that_is_at_fault() {
        let fine = || Op::put("a", "x");
        let exists = |key: &str| Compare::present(key);
        for (txn, said) in [
            (Txn::new().when(exists("a")).when(exists("")), "compares[1]: the key is empty"),
            (Txn::new().then(fine()).then(Op::put("b", "long")), "then[1]: the value has 4 bytes"),
            (Txn::new().or_else(Op::get("")), "else[0]: the key is empty"),
            (Txn::new().then(fine()).or_else(fine()).or_else(fine()), "else[1]: the key \"a\""),
            (Txn::new().then(Op::get("a").ttl(Duration::MAX)), "then[0]: only a put takes a ttl"),
        ] {
            let error = txn.checked(3).unwrap_err();
            assert!(error.message().starts_with(said), "{error}");
        }
    }
}
