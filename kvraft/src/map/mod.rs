//! `ReplicatedMap` is the map that users hold: it decides what is meant, the node decides where.

mod scan;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;

use self::scan::{SCAN_TIMEOUT, Scan};
use crate::command::{Command, MAX_KEY_BYTES, Outcome};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::node::{Node, View};
use crate::options::{Deleted, Entry, KeyRange, Page, Put, ReadOptions, ScanOptions, WriteOptions};
use crate::status::Status;

/// The longest a call waits (a year): a longer timeout means for ever, and could overflow the clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An ordered map from bytes to bytes that lives in this process and on the other members.
///
/// A handle: cheap to clone, usable from any thread and any async executor. Keys have 1 to 511
/// bytes, values up to `max_value_bytes`. Every call works on every member: writes find the
/// leader, reads are answered here. Dropping the last handle stops the node in the background;
/// [`close`](Self::close) hands leadership over first and waits.
///
/// # Examples
/// ```
/// # futures_executor::block_on(async {
/// let dir = tempfile::tempdir().unwrap();
/// let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// let revision = map.put("greeting", "hello").await?;
/// assert_eq!(map.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
/// assert!(revision > 0);
/// map.close().await?;
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ReplicatedMap {
    node: Arc<Node>,
}

impl std::fmt::Debug for ReplicatedMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicatedMap").field("name", &self.node.name()).finish_non_exhaustive()
    }
}

impl ReplicatedMap {
    /// Opens the node whose data lies in the configured directory, and starts it.
    ///
    /// Returns when the node has recovered what its disk holds; a leader may not be known yet
    /// ([`wait_ready`](Self::wait_ready) waits for one, and every call does by itself).
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong setting or an address that cannot be bound, `Refused` if the
    /// directory is in use, belongs to another node or is of a newer format, `Corrupt` if its bytes
    /// cannot be trusted, `Storage` if the disk fails.
    ///
    /// # Cancel safety
    /// Dropping the future stops the node that was being opened.
    pub async fn open(config: Config) -> Result<Self> {
        Ok(Self { node: Node::open(config.check()?).await? })
    }

    /// Reads the value of `key`, or `None` if it has none; linearizable unless configured otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` for a key of 0 or over 511 bytes, `Unavailable` if no quorum answered in
    /// time, `Corrupt` if the stored bytes are damaged, `Closed`, `Storage`.
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let entry = self.get_with(key, ReadOptions::default()).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// Reads the entry of `key` with its revisions, as [`get`](Self::get) with options.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get_with(
        &self,
        key: impl AsRef<[u8]>,
        options: ReadOptions,
    ) -> Result<Option<Entry>> {
        let key = checked_key(key.as_ref())?;
        let view = self.read_view(options).await?;
        let record = view.get(&key)?;
        Ok(record.map(|record| Entry {
            key,
            value: record.value,
            revision: record.revision,
            created: record.created,
        }))
    }

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

    /// Gives `key` the value `value`, as [`put`](Self::put) with options, and says whether the
    /// key had a value before.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    ///
    /// # Cancel safety
    /// As [`put`](Self::put).
    pub async fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Put> {
        let key = checked_key(key.as_ref())?;
        let value = self.checked_value(value.as_ref())?;
        match self.propose(Command::Put { key, value }, options).await? {
            Outcome::Put { revision, replaced } => Ok(Put { revision, replaced }),
            outcome @ (Outcome::Done
            | Outcome::Deleted { .. }
            | Outcome::AppliedAt { .. }
            | Outcome::Rejected(_)) => Err(unexpected(&outcome)),
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
    /// As [`delete`](Self::delete).
    ///
    /// # Cancel safety
    /// As [`delete`](Self::delete).
    pub async fn delete_with(
        &self,
        key: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Deleted> {
        let key = checked_key(key.as_ref())?;
        match self.propose(Command::Delete { key }, options).await? {
            Outcome::Deleted { revision, existed } => Ok(Deleted { revision, existed }),
            outcome @ (Outcome::Done
            | Outcome::Put { .. }
            | Outcome::AppliedAt { .. }
            | Outcome::Rejected(_)) => Err(unexpected(&outcome)),
        }
    }

    /// Reads one page of the keys in `range`: at most 10,000 entries and about 8 MiB.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn page(&self, range: KeyRange, options: ScanOptions) -> Result<Page> {
        let view = self.read_view(options.read).await?;
        scan::page(&view, range, options)
    }

    /// Reads every entry in `range` as it stands at one moment.
    ///
    /// The stream reads on demand and holds little in memory. It keeps its moment for 30 s.
    ///
    /// # Errors
    /// As [`get`](Self::get); the stream itself ends with `Compacted` after 30 s, and with `Closed`
    /// when the node stops, as it does once its last handle is dropped.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use futures_util::TryStreamExt;
    /// use kvraft::{KeyRange, ScanOptions};
    ///
    /// for key in ["b/1", "a/2", "a/1"] {
    ///     map.put(key, "x").await?;
    /// }
    /// let scan = map.scan(KeyRange::prefix("a/"), ScanOptions::new()).await?;
    /// let keys: Vec<_> = scan.map_ok(|entry| entry.key).try_collect().await?;
    /// assert_eq!(keys, ["a/1", "a/2"]);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
    ) -> Result<impl Stream<Item = Result<Entry>> + Send + Unpin + use<>> {
        let view = self.read_view(options.read).await?;
        let scan = Scan::new(self.node.lend(view, SCAN_TIMEOUT)?, range, options);
        Ok(futures_util::stream::iter(scan))
    }

    /// Says what this node knows of itself and its cluster, without asking anyone.
    #[must_use]
    pub fn status(&self) -> Status {
        self.node.status()
    }

    /// Says how much this node has done since it was opened, without asking anyone.
    ///
    /// # Errors
    /// `Closed` once the map is closed, `Storage` if the state file cannot be read.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// map.put("k", "v").await?;
    /// let before = map.metrics()?;
    /// map.put("k", "w").await?;
    /// let after = map.metrics()?;
    /// assert_eq!(after.log_entries - before.log_entries, 1);
    /// assert!(after.log_flushes > before.log_flushes);
    /// # map.close().await?;
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub fn metrics(&self) -> Result<Metrics> {
        self.node.metrics()
    }

    /// Returns the largest value in bytes that the cluster takes now, as this node has applied it.
    ///
    /// A face that reads a value from a network stops reading here.
    ///
    /// # Errors
    /// `Closed` once the map is closed.
    pub fn max_value_bytes(&self) -> Result<usize> {
        self.node.max_value_bytes()
    }

    /// Waits until this node has recovered and knows a leader.
    ///
    /// # Errors
    /// `Unavailable` if that takes longer than `timeout`; the error that stopped the node, if one did.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<()> {
        self.node.wait_ready(self.deadline(Some(timeout))).await
    }

    /// Stops the node: hands leadership over, finishes what was begun, closes files and socket.
    ///
    /// Other handles to this node get `Closed` from then on. Calling it again does nothing.
    ///
    /// # Errors
    /// `Storage` if the last writes to the disk failed. The node is stopped all the same.
    ///
    /// # Cancel safety
    /// Dropping the future lets the node stop in the background.
    pub async fn close(&self) -> Result<()> {
        self.node.close().await
    }

    async fn propose(&self, command: Command, options: WriteOptions) -> Result<Outcome> {
        self.node.propose(command, self.deadline(options.timeout)).await
    }

    async fn read_view(&self, options: ReadOptions) -> Result<Arc<View>> {
        let consistency = options.consistency.unwrap_or_else(|| self.node.consistency());
        self.node.read(consistency, options.min_revision, self.deadline(options.timeout)).await
    }

    fn deadline(&self, timeout: Option<Duration>) -> Instant {
        let timeout = timeout.unwrap_or_else(|| self.node.request_timeout());
        self.node.now() + timeout.min(MAX_TIMEOUT)
    }

    fn checked_value(&self, value: &[u8]) -> Result<Bytes> {
        let limit = self.node.max_value_bytes()?;
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
    match key.len() {
        0 => Err(Error::invalid("the key is empty; keys have 1 to 511 bytes")),
        1..=MAX_KEY_BYTES => Ok(Bytes::copy_from_slice(key)),
        len => Err(Error::invalid(format!(
            "the key has {len} bytes; keys have 1 to {MAX_KEY_BYTES} bytes"
        ))),
    }
}

/// An outcome that its command cannot have, or one too large to have been kept for a retry.
fn unexpected(outcome: &Outcome) -> Error {
    match outcome {
        Outcome::AppliedAt { revision } => Error::indeterminate(format!(
            "applied at revision {revision}, but its answer was lost; read it back"
        )),
        Outcome::Done | Outcome::Put { .. } | Outcome::Deleted { .. } | Outcome::Rejected(_) => {
            Error::internal(format!("a command came back with the outcome {outcome:?}"))
        }
    }
}
