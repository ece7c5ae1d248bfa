//! Writing: one key, a range, a transaction.

use bytes::Bytes;

use super::ReplicatedMap;
use crate::command::{self, Command, Outcome};
use crate::error::{Error, Result};
use crate::options::{
    Deleted, Entry, Incremented, KeyRange, Op, OpResult, Put, RangeDeleted, Txn, TxnResult,
    WriteOptions, check_key,
};
use crate::proposal::rejected;

impl ReplicatedMap {
    /// Gives `key` the value `value` and returns the revision of the change.
    ///
    /// Returns when the write is on the disks of a majority and applied. It is applied once, or
    /// not at all, however often it had to be sent.
    ///
    /// # Errors
    /// `InvalidArgument` for a key of 0 or over 511 bytes or a value over `max_value_bytes`,
    /// `Full`, `Overloaded`, `Unavailable` if nothing was applied, `Indeterminate` if the deadline
    /// passed after the write was sent, `Closed`, `Storage`.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the write back: it may still be applied, once.
    pub async fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        Ok(self.put_with(key, value, WriteOptions::default()).await?.revision)
    }

    /// Gives `key` the value `value`, as [`put`](Self::put) with options: under a condition, with
    /// a time to live or a lease, once for a request id; says what was there before.
    ///
    /// # Errors
    /// As [`put`](Self::put); `Conflict` with the current revision if the condition does not hold,
    /// `Expired` if the lease has ended, `Indeterminate` if the answer to a retried write was over
    /// 64 KiB with its previous entry.
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Put> {
        let copied = (checked_key(key.as_ref())?, self.checked_value(value.as_ref())?);
        drop((key, value)); // Who lent them has them back while the write is under way.
        let (key, value) = copied;
        let want_previous = options.want_previous;
        let op =
            command::Op::Put { key: key.clone(), value, attach: options.attach()?, want_previous };
        match self.write(op, options).await? {
            (revision, command::OpResult::Put { replaced, previous }) => {
                let previous = previous.map(|found| Entry::new(key, found));
                Ok(Put { revision, replaced, previous })
            }
            (_, other) => Err(misfit(&other)),
        }
    }

    /// Takes `key` and its value away; returns whether there was one.
    ///
    /// # Errors
    /// As [`put`](Self::put), without `Full`.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the delete back.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        Ok(self.delete_with(key, WriteOptions::default()).await?.existed)
    }

    /// Takes `key` and its value away, as [`delete`](Self::delete) with options.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); `Conflict` with the current revision if the condition does not
    /// hold.
    ///
    /// # Cancel safety
    /// As [`delete`](Self::delete).
    pub async fn delete_with(
        &self,
        key: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Deleted> {
        options.check_no_life()?;
        let key = checked_key(key.as_ref())?;
        let op = command::Op::Delete { key: key.clone(), want_previous: options.want_previous };
        match self.write(op, options).await? {
            (revision, command::OpResult::Deleted { existed, previous }) => {
                let previous = previous.map(|found| Entry::new(key, found));
                Ok(Deleted { revision, existed, previous })
            }
            (_, other) => Err(misfit(&other)),
        }
    }

    /// Adds `delta` to the decimal number under `key`, and returns the sum; an absent key counts
    /// as 0. Exact however often it had to be sent.
    ///
    /// # Errors
    /// As [`put`](Self::put); `InvalidArgument` if the value is no decimal `i64`, or the sum would
    /// be none.
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// assert_eq!(map.increment("visits", 1).await?, 1);
    /// assert_eq!(map.increment("visits", 41).await?, 42);
    /// assert_eq!(map.get("visits").await?.as_deref(), Some(&b"42"[..]));
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn increment(&self, key: impl AsRef<[u8]>, delta: i64) -> Result<i64> {
        Ok(self.increment_with(key, delta, WriteOptions::default()).await?.value)
    }

    /// Adds to a counter, as [`increment`](Self::increment) with options. The key stays with the
    /// lease that it has.
    ///
    /// # Errors
    /// As [`increment`](Self::increment); `Conflict` if the condition does not hold.
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn increment_with(
        &self,
        key: impl AsRef<[u8]>,
        delta: i64,
        options: WriteOptions,
    ) -> Result<Incremented> {
        options.check_no_life()?;
        let op = command::Op::Increment { key: checked_key(key.as_ref())?, delta };
        match self.write(op, options).await? {
            (revision, command::OpResult::Incremented(value)) => {
                Ok(Incremented { revision, value })
            }
            (_, other) => Err(misfit(&other)),
        }
    }

    /// Takes every key in `range` away, at once.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    ///
    /// # Cancel safety
    /// As [`delete`](Self::delete).
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use kvraft::{KeyRange, WriteOptions};
    ///
    /// for key in ["a/1", "a/2", "b/1"] {
    ///     map.put(key, "x").await?;
    /// }
    /// let gone = map.delete_range(KeyRange::prefix("a/"), WriteOptions::new()).await?;
    /// assert_eq!(gone.deleted, 2);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn delete_range(
        &self,
        range: KeyRange,
        options: WriteOptions,
    ) -> Result<RangeDeleted> {
        options.check_plain()?;
        let command = Command::DeleteRange { range: (range.start, range.end) };
        let outcome = self.propose(command, options).await?;
        let Outcome::RangeDeleted { revision, deleted } = outcome else {
            return Err(unexpected(&outcome));
        };
        Ok(RangeDeleted { revision, deleted })
    }

    /// Applies a transaction: all of it at once, or nothing.
    ///
    /// # Errors
    /// As [`put`](Self::put); `InvalidArgument` if it has more than 1024 comparisons and
    /// operations, a key twice in one branch, more than `max_command_bytes`, or reads more than
    /// that; `Expired` if a lease has ended; `Indeterminate` if its results were over 64 KiB and
    /// it had to be sent again.
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn txn(&self, txn: Txn) -> Result<TxnResult> {
        self.txn_with(txn, WriteOptions::default()).await
    }

    /// Applies a transaction with options: deadline and request id; conditions are its own.
    ///
    /// # Errors
    /// As [`txn`](Self::txn).
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn txn_with(&self, txn: Txn, options: WriteOptions) -> Result<TxnResult> {
        options.check_plain()?;
        let [then, otherwise] = txn.keys();
        let command = Command::Txn(txn.checked(self.place.max_value_bytes()?)?);
        let outcome = self.propose(command, options).await?;
        if let Outcome::StepRejected { succeeded, step, rejection } = outcome {
            let branch = if succeeded { "then" } else { "else" };
            return Err(rejected(rejection).context(format_args!("{branch}[{step}]")));
        }
        let Outcome::Txn { revision, succeeded, results } = outcome else {
            return Err(unexpected(&outcome));
        };
        let keys = if succeeded { then } else { otherwise };
        let results = keys.into_iter().zip(results).map(|(key, result)| OpResult::new(key, result));
        Ok(TxnResult { revision, succeeded, results: results.collect() })
    }

    /// Applies several operations at once: a [`Txn`] without comparisons.
    ///
    /// # Errors
    /// As [`txn`](Self::txn).
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use kvraft::Op;
    ///
    /// map.batch([Op::put("a", "1"), Op::put("b", "2"), Op::delete("c")]).await?;
    /// assert!(map.get("b").await?.is_some());
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn batch(&self, ops: impl IntoIterator<Item = Op>) -> Result<TxnResult> {
        self.txn(ops.into_iter().fold(Txn::new(), Txn::then)).await
    }

    async fn write(
        &self,
        op: command::Op,
        options: WriteOptions,
    ) -> Result<(u64, command::OpResult)> {
        let command = Command::Write { op, test: options.test.clone() };
        let outcome = self.propose(command, options).await?;
        let Outcome::Written { revision, result } = outcome else {
            return Err(unexpected(&outcome));
        };
        Ok((revision, result))
    }

    /// Has a command applied once: within this process always, and for its request id if it has
    /// one.
    pub(super) async fn propose(&self, command: Command, options: WriteOptions) -> Result<Outcome> {
        let command = match options.request()? {
            Some(request) => Command::Once { request, command: Box::new(command) },
            None => command,
        };
        self.place.propose(command, self.deadline(options.timeout)).await
    }

    fn checked_value(&self, value: &[u8]) -> Result<Bytes> {
        let limit = self.place.max_value_bytes()?;
        if value.len() > limit {
            return Err(Error::invalid(format!(
                "the value has {} bytes, and max_value_bytes is {limit}; split it or raise the setting",
                value.len()
            )));
        }
        Ok(Bytes::copy_from_slice(value))
    }
}

fn checked_key(key: &[u8]) -> Result<Bytes> {
    check_key(key)?;
    Ok(Bytes::copy_from_slice(key))
}

fn misfit(result: &command::OpResult) -> Error {
    Error::internal(format!("a write came back with the result {result:?}"))
}

/// An outcome that its command cannot have, or one too large to have been kept for a retry.
pub(super) fn unexpected(outcome: &Outcome) -> Error {
    if let Outcome::AppliedAt { revision } = outcome {
        return Error::indeterminate(format!(
            "applied at revision {revision}, but its answer was lost; read it back"
        ));
    }
    Error::internal(format!("a command came back with the outcome {outcome:?}"))
}
