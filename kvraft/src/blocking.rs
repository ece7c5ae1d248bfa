//! The blocking twin of [`ReplicatedMap`](crate::ReplicatedMap), for programs without async.
//!
//! The node runs on threads of its own, so that a blocked caller holds nothing up. Do not call it
//! on a thread of an async executor: that would block the executor's other tasks.

mod backup;
mod integrity;
mod lease;
mod lock;
mod members;
mod typed;
mod wait;
mod watch;

use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;

pub use self::backup::Backup;
pub use self::lease::Lease;
pub use self::lock::Lock;
pub use self::typed::TypedMap;
pub use self::watch::Watch;
use crate::config::{ClientConfig, Config};
use crate::error::Result;
use crate::metrics::Metrics;
use crate::options::{
    Deleted, Entry, Incremented, KeyRange, LeaseId, LeaseInfo, Op, Page, Put, RangeDeleted,
    ReadOptions, ScanOptions, Txn, TxnResult, WatchOptions, WriteOptions,
};
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

    /// Connects to the members of a cluster, without a disk or a vote.
    ///
    /// # Errors
    /// As [`ReplicatedMap::connect`](crate::ReplicatedMap::connect).
    pub fn connect(config: ClientConfig) -> Result<Self> {
        block_on(crate::ReplicatedMap::connect(config)).map(Self)
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

    /// Adds to a counter and returns the sum.
    ///
    /// # Errors
    /// As [`ReplicatedMap::increment`](crate::ReplicatedMap::increment).
    pub fn increment(&self, key: impl AsRef<[u8]>, delta: i64) -> Result<i64> {
        block_on(self.0.increment(key, delta))
    }

    /// Adds to a counter, with options.
    ///
    /// # Errors
    /// As [`ReplicatedMap::increment_with`](crate::ReplicatedMap::increment_with).
    pub fn increment_with(
        &self,
        key: impl AsRef<[u8]>,
        delta: i64,
        options: WriteOptions,
    ) -> Result<Incremented> {
        block_on(self.0.increment_with(key, delta, options))
    }

    /// Takes every key in `range` away, at once.
    ///
    /// # Errors
    /// As [`ReplicatedMap::delete_range`](crate::ReplicatedMap::delete_range).
    pub fn delete_range(&self, range: KeyRange, options: WriteOptions) -> Result<RangeDeleted> {
        block_on(self.0.delete_range(range, options))
    }

    /// Applies a transaction.
    ///
    /// # Errors
    /// As [`ReplicatedMap::txn`](crate::ReplicatedMap::txn).
    pub fn txn(&self, txn: Txn) -> Result<TxnResult> {
        block_on(self.0.txn(txn))
    }

    /// Applies a transaction, with options.
    ///
    /// # Errors
    /// As [`ReplicatedMap::txn_with`](crate::ReplicatedMap::txn_with).
    pub fn txn_with(&self, txn: Txn, options: WriteOptions) -> Result<TxnResult> {
        block_on(self.0.txn_with(txn, options))
    }

    /// Applies several operations at once.
    ///
    /// # Errors
    /// As [`ReplicatedMap::batch`](crate::ReplicatedMap::batch).
    pub fn batch(&self, ops: impl IntoIterator<Item = Op>) -> Result<TxnResult> {
        block_on(self.0.batch(ops))
    }

    /// Counts the keys in `range`.
    ///
    /// # Errors
    /// As [`ReplicatedMap::count`](crate::ReplicatedMap::count).
    pub fn count(&self, range: KeyRange, options: ReadOptions) -> Result<u64> {
        block_on(self.0.count(range, options))
    }

    /// Grants a lease and keeps it alive for as long as the returned handle lives.
    ///
    /// # Errors
    /// As [`ReplicatedMap::lease`](crate::ReplicatedMap::lease).
    pub fn lease(&self, ttl: Duration) -> Result<Lease> {
        block_on(self.0.lease(ttl)).map(Lease)
    }

    /// Grants a lease that only [`keep_alive`](Self::keep_alive) keeps alive.
    ///
    /// # Errors
    /// As [`ReplicatedMap::grant_lease`](crate::ReplicatedMap::grant_lease).
    pub fn grant_lease(&self, ttl: Duration) -> Result<LeaseId> {
        block_on(self.0.grant_lease(ttl))
    }

    /// Begins the time to live of a lease anew.
    ///
    /// # Errors
    /// As [`ReplicatedMap::keep_alive`](crate::ReplicatedMap::keep_alive).
    pub fn keep_alive(&self, lease: LeaseId) -> Result<()> {
        block_on(self.0.keep_alive(lease))
    }

    /// Ends a lease now.
    ///
    /// # Errors
    /// As [`ReplicatedMap::revoke_lease`](crate::ReplicatedMap::revoke_lease).
    pub fn revoke_lease(&self, lease: LeaseId) -> Result<()> {
        block_on(self.0.revoke_lease(lease))
    }

    /// Says how long a lease has left, and which keys end with it.
    ///
    /// # Errors
    /// As [`ReplicatedMap::lease_info`](crate::ReplicatedMap::lease_info).
    pub fn lease_info(&self, lease: LeaseId, options: ReadOptions) -> Result<LeaseInfo> {
        block_on(self.0.lease_info(lease, options))
    }

    /// Takes a lock and waits for it; dropping the guard gives it back.
    ///
    /// # Errors
    /// As [`ReplicatedMap::lock`](crate::ReplicatedMap::lock).
    pub fn lock(&self, name: impl AsRef<[u8]>, ttl: Duration) -> Result<Lock> {
        block_on(self.0.lock(name, ttl)).map(Lock)
    }

    /// Takes a lock and waits for it for at most `timeout`.
    ///
    /// # Errors
    /// As [`ReplicatedMap::lock_within`](crate::ReplicatedMap::lock_within).
    pub fn lock_within(
        &self,
        name: impl AsRef<[u8]>,
        ttl: Duration,
        timeout: Duration,
    ) -> Result<Lock> {
        block_on(self.0.lock_within(name, ttl, timeout)).map(Lock)
    }

    /// Takes a lock if it is free.
    ///
    /// # Errors
    /// As [`ReplicatedMap::try_lock`](crate::ReplicatedMap::try_lock).
    pub fn try_lock(&self, name: impl AsRef<[u8]>, ttl: Duration) -> Result<Option<Lock>> {
        Ok(block_on(self.0.try_lock(name, ttl))?.map(Lock))
    }

    /// Takes a lock for a lease that the caller keeps alive.
    ///
    /// # Errors
    /// As [`ReplicatedMap::acquire`](crate::ReplicatedMap::acquire).
    pub fn acquire(
        &self,
        name: impl AsRef<[u8]>,
        lease: LeaseId,
        timeout: Duration,
    ) -> Result<u64> {
        block_on(self.0.acquire(name, lease, timeout))
    }

    /// Takes a lock for a lease that the caller keeps alive, and gives up as soon as `stop` is
    /// done: a future that another thread ends.
    ///
    /// # Errors
    /// As [`ReplicatedMap::acquire_unless`](crate::ReplicatedMap::acquire_unless).
    pub fn acquire_unless(
        &self,
        name: impl AsRef<[u8]>,
        lease: LeaseId,
        timeout: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<u64> {
        block_on(self.0.acquire_unless(name, lease, timeout, stop))
    }

    /// Gives a lock back that a lease has.
    ///
    /// # Errors
    /// As [`ReplicatedMap::release`](crate::ReplicatedMap::release).
    pub fn release(&self, name: impl AsRef<[u8]>, lease: LeaseId) -> Result<()> {
        block_on(self.0.release(name, lease))
    }

    /// Watches the keys in `range`; see [`Watch`] for how its events are waited for.
    ///
    /// # Errors
    /// As [`ReplicatedMap::watch`](crate::ReplicatedMap::watch).
    pub fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<Watch> {
        block_on(self.0.watch(range, options)).map(Watch)
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

    /// Returns the largest value in bytes that the cluster takes now.
    ///
    /// # Errors
    /// As [`ReplicatedMap::max_value_bytes`](crate::ReplicatedMap::max_value_bytes).
    pub fn max_value_bytes(&self) -> Result<usize> {
        self.0.max_value_bytes()
    }

    /// Returns the largest command in bytes that the cluster takes now.
    ///
    /// # Errors
    /// As [`ReplicatedMap::max_command_bytes`](crate::ReplicatedMap::max_command_bytes).
    pub fn max_command_bytes(&self) -> Result<usize> {
        self.0.max_command_bytes()
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
