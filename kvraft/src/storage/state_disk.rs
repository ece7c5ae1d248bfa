//! `StateDisk` is the seam between the state and the disk that keeps its checkpoints.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::command::{KeyRange, SessionId};
use crate::error::Result;
use crate::raft::StagedState;
use crate::storage::buffer::Buffer;
use crate::storage::session::Sessions;
use crate::storage::state_record::{Head, Meta, Record};

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
}

/// The state as of one commit; it never changes.
pub(super) trait DiskView: Send + Sync {
    fn record(&self, key: &[u8]) -> Result<Option<Record>>;

    /// Returns what the record says without copying its value; the checksum is verified.
    fn head(&self, key: &[u8]) -> Result<Option<Head>>;

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
    /// Adds raw session records, ids ascending over all calls.
    fn put_sessions(&mut self, sessions: &[(SessionId, Bytes)]) -> Result<()>;
    /// Completes the state durably.
    fn finish(self: Box<Self>, meta: &Meta) -> Result<StagedState>;
}

/// The changes since the last checkpoint, and all of the small state as of its applied id.
pub(super) struct Checkpoint {
    pub(super) entries: Buffer,
    pub(super) sessions: Sessions,
    /// Sessions that changed or ended.
    pub(super) changed: Vec<SessionId>,
    pub(super) meta: Meta,
}

/// A state as it was found on the disk.
pub(super) struct Loaded {
    pub(super) meta: Meta,
    pub(super) sessions: Sessions,
    pub(super) view: Arc<dyn DiskView>,
}
