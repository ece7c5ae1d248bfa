//! The blocking twin of [`ReplicatedMap`](crate::ReplicatedMap), for programs without async.
//!
//! The node runs on threads of its own, so that a blocked caller holds nothing up. Do not call it
//! on a thread of an async executor: that would block the executor's other tasks.

use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;

use crate::config::Config;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::options::{Deleted, Entry, KeyRange, Page, Put, ReadOptions, ScanOptions, WriteOptions};
use crate::status::Status;

/// A map whose calls return when they are done; see [`ReplicatedMap`](crate::ReplicatedMap) for
/// what each does and how each fails.
///
/// # Examples
/// ```
/// let dir = tempfile::tempdir().unwrap();
/// let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path()))?;
/// map.put("k", "v")?;
/// assert_eq!(map.get("k")?.as_deref(), Some(&b"v"[..]));
/// map.close()?;
/// # Ok::<(), kvraft::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReplicatedMap(crate::ReplicatedMap);

impl From<crate::ReplicatedMap> for ReplicatedMap {
    fn from(map: crate::ReplicatedMap) -> Self {
        Self(map)
    }
}

impl ReplicatedMap {
    /// Opens the node whose data lies in the configured directory, and starts it.
    ///
    /// # Errors
    /// As [`ReplicatedMap::open`](crate::ReplicatedMap::open).
    pub fn open(config: Config) -> Result<Self> {
        block_on(crate::ReplicatedMap::open(config)).map(Self)
    }

    /// Reads the value of `key`.
    ///
    /// # Errors
    /// As [`ReplicatedMap::get`](crate::ReplicatedMap::get).
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        block_on(self.0.get(key))
    }

    /// Reads the entry of `key`.
    ///
    /// # Errors
    /// As [`ReplicatedMap::get_with`](crate::ReplicatedMap::get_with).
    pub fn get_with(&self, key: impl AsRef<[u8]>, options: ReadOptions) -> Result<Option<Entry>> {
        block_on(self.0.get_with(key, options))
    }

    /// Gives `key` a value.
    ///
    /// # Errors
    /// As [`ReplicatedMap::put`](crate::ReplicatedMap::put).
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<u64> {
        block_on(self.0.put(key, value))
    }

    /// Gives `key` a value and says whether it had one.
    ///
    /// # Errors
    /// As [`ReplicatedMap::put_with`](crate::ReplicatedMap::put_with).
    pub fn put_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Result<Put> {
        block_on(self.0.put_with(key, value, options))
    }

    /// Takes `key` away.
    ///
    /// # Errors
    /// As [`ReplicatedMap::delete`](crate::ReplicatedMap::delete).
    pub fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        block_on(self.0.delete(key))
    }

    /// Takes `key` away, with options.
    ///
    /// # Errors
    /// As [`ReplicatedMap::delete_with`](crate::ReplicatedMap::delete_with).
    pub fn delete_with(&self, key: impl AsRef<[u8]>, options: WriteOptions) -> Result<Deleted> {
        block_on(self.0.delete_with(key, options))
    }

    /// Reads one page of `range`.
    ///
    /// # Errors
    /// As [`ReplicatedMap::page`](crate::ReplicatedMap::page).
    pub fn page(&self, range: KeyRange, options: ScanOptions) -> Result<Page> {
        block_on(self.0.page(range, options))
    }

    /// Iterates over every entry in `range` as it stands at one moment.
    ///
    /// # Errors
    /// As [`ReplicatedMap::scan`](crate::ReplicatedMap::scan).
    pub fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
    ) -> Result<impl Iterator<Item = Result<Entry>> + Send + use<>> {
        Ok(futures_executor::block_on_stream(block_on(self.0.scan(range, options))?))
    }

    /// Says what this node knows of itself and its cluster.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Says how much this node has done since it was opened.
    ///
    /// # Errors
    /// As [`ReplicatedMap::metrics`](crate::ReplicatedMap::metrics).
    pub fn metrics(&self) -> Result<Metrics> {
        self.0.metrics()
    }

    /// Waits until this node has recovered and knows a leader.
    ///
    /// # Errors
    /// As [`ReplicatedMap::wait_ready`](crate::ReplicatedMap::wait_ready).
    pub fn wait_ready(&self, timeout: Duration) -> Result<()> {
        block_on(self.0.wait_ready(timeout))
    }

    /// Stops the node and waits until it has.
    ///
    /// # Errors
    /// As [`ReplicatedMap::close`](crate::ReplicatedMap::close).
    pub fn close(&self) -> Result<()> {
        block_on(self.0.close())
    }
}
