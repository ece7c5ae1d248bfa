//! `Metrics` is what a node has counted of its own work.

/// How much one node has done since it was opened, and how much it holds.
///
/// What is counted starts from 0 at every open and only grows: subtract two readings to learn what
/// happened between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Log entries written to this node's disk since it was opened.
    pub log_entries: u64,
    /// Transactions that wrote to the log. One carries every entry, vote or note that waited.
    pub log_batches: u64,
    /// Times that the disk of the log was asked to flush: once a batch, and once more whenever
    /// nothing waits behind it. `log_entries / log_flushes` is what group commit gains.
    pub log_flushes: u64,
    /// Times that applied changes moved from memory into the state file.
    pub checkpoints: u64,
    /// Bytes of applied changes that are in memory now and not yet in the state file.
    pub buffer_bytes: u64,
    /// Bytes that the state file uses now, its free pages left out.
    pub state_bytes: u64,
}
