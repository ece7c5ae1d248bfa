//! `StateOptions` says when a state is written, `StateStats` what it takes of the machine.

use std::sync::Arc;
use std::time::Duration;

use crate::durations::DurationMetrics;
use crate::storage::LogBarrier;
use crate::storage::history::HistoryStats;
use crate::storage::pressure::DiskPressure;
use crate::versions::FORMAT_LEVEL;

/// When the state is written to its disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StateOptions {
    /// A checkpoint is written at least this often if there is something to write.
    pub(crate) checkpoint_interval: Duration,
    /// A write buffer of this size does not wait for the interval.
    pub(crate) checkpoint_bytes: usize,
    /// Beyond this size of the write buffer apply waits for the checkpoint being written.
    pub(crate) buffer_cap_bytes: usize,
    /// The newest format that this node takes part in.
    pub(crate) format_level: u16,
}

impl Default for StateOptions {
    fn default() -> Self {
        Self {
            // A restart replays about this much of the log.
            checkpoint_interval: Duration::from_secs(1),
            checkpoint_bytes: 64 << 20,
            buffer_cap_bytes: 256 << 20,
            format_level: FORMAT_LEVEL,
        }
    }
}

impl StateOptions {
    /// Address space costs nothing, a full map stops all writes: so the default is large.
    pub(crate) const DEFAULT_MAP_BYTES: usize = 1 << 40;
}

/// What the state needs from the rest of the storage.
#[derive(Clone)]
pub(crate) struct StateHooks {
    pub(crate) barrier: Arc<dyn LogBarrier>,
    pub(crate) pressure: DiskPressure,
    /// Gives the disk the room that was kept for this case. Called again at every retry.
    pub(crate) release_ballast: Arc<dyn Fn() + Send + Sync>,
}

/// What the state takes of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StateStats {
    pub(crate) buffer_bytes: u64,
    pub(crate) disk_bytes: u64,
    pub(crate) checkpoint_time: DurationMetrics,
    /// Leases that have ended by their time.
    pub(crate) leases_expired: u64,
    pub(crate) history: HistoryStats,
}
