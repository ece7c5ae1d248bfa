//! `StateDisk` is the seam between the state and the disk that keeps its checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::{KeyRange, LeaseNumber};
use crate::error::Result;
use crate::raft::StagedState;
use crate::storage::buffer::Buffer;
use crate::storage::row::RowId;
use crate::storage::state_record::{Meta, Record};
use crate::storage::tables::Tables;

/// Keeps one state durably and replaces it atomically; a simulated disk may stand in for LMDB.
///
/// `commit` and `install` are called by one thread at a time; everything else from anywhere.
pub(super) trait StateDisk: Send + Sync + 'static {
    /// Reads the current state.
    fn load(&self) -> Result<Loaded>;

    /// Makes a checkpoint durable in one transaction and returns the state as of it.
    ///
    /// # Errors
    /// `Full` if there was no room: nothing was written, and the call may be repeated.
    fn commit(&self, checkpoint: &Checkpoint) -> Result<Arc<dyn DiskView>>;

    /// Begins a state beside the current one.
    fn stage(&self) -> Result<Box<dyn Stage>>;

    /// Makes a finished stage the current state, durably and atomically, and loads it.
    fn install(&self, staged: StagedState) -> Result<Loaded>;

    /// Returns how many bytes the disk gives to the current state.
    fn used_bytes(&self) -> Result<u64>;

    /// Returns how many bytes of its file are free for entries: it does not shrink.
    fn room(&self) -> Result<u64>;
}

/// The state as of one commit; it never changes.
pub(super) trait DiskView: Send + Sync {
    fn record(&self, key: &[u8]) -> Result<Option<Record>>;

    /// Shows keys with their raw records in order, until `visit` breaks.
    fn scan(&self, range: &KeyRange, order: Order, visit: &mut Visit<'_>) -> Result<()>;
}

/// Takes a key and its raw record.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

/// Which way a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Forward,
    Reverse,
}

/// A state that is being received; dropping it removes it.
pub(super) trait Stage: Send {
    /// Adds raw records, keys ascending over all calls.
    fn put_entries(&mut self, entries: &[(Bytes, Bytes)]) -> Result<()>;
    /// Adds keys that belong to leases, in any order.
    fn put_lease_keys(&mut self, keys: &[(LeaseNumber, Bytes)]) -> Result<()>;
    /// Adds raw rows of the small tables, ids ascending over all calls.
    fn put_rows(&mut self, rows: &[(RowId, Bytes)]) -> Result<()>;
    /// Completes the state durably.
    fn finish(self: Box<Self>, meta: &Meta) -> Result<StagedState>;
}

/// The changes since the last checkpoint, and all of the small state as of its applied id.
pub(super) struct Checkpoint {
    pub(super) entries: Buffer,
    pub(super) tables: Tables,
    pub(super) changed: Changed,
    pub(super) meta: Meta,
}

/// What of the small tables has changed since a checkpoint.
#[derive(Debug, Clone, Default)]
pub(super) struct Changed {
    /// Rows that were added, changed or removed.
    pub(super) rows: BTreeSet<RowId>,
    /// Keys that came to a lease (true) or left it.
    pub(super) lease_keys: BTreeMap<(LeaseNumber, Bytes), bool>,
}

impl Changed {
    /// Lays newer changes over these.
    pub(super) fn absorb(&mut self, mut newer: Self) {
        self.rows.append(&mut newer.rows);
        self.lease_keys.append(&mut newer.lease_keys);
    }
}

/// A state as it was found on the disk.
pub(super) struct Loaded {
    pub(super) meta: Meta,
    pub(super) tables: Tables,
    pub(super) view: Arc<dyn DiskView>,
}
