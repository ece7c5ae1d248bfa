//! `Metrics` is what a node has counted of its own work and of what it holds.

use crate::durations::DurationMetrics;

/// How much one node has done since it was opened, and how much it holds.
///
/// What is counted starts from 0 at every open and only grows: subtract two readings to learn what
/// happened between them. A reading costs no more the more a node holds, and asks nobody.
///
/// # Examples
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use std::time::Duration;
///
/// let lock = map.lock("report", Duration::from_secs(10)).await?;
/// map.put("k", "12345").await?;
/// map.get("k").await?;
/// let metrics = map.metrics()?;
/// assert_eq!((metrics.held.keys, metrics.held.key_bytes), (1, 6));
/// assert_eq!((metrics.held.leases, metrics.held.locks_held), (1, 1));
/// assert!(metrics.proposals.accepted > 0 && metrics.reads.barriers > 0);
/// # lock.unlock().await?;
/// # map.close().await?;
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
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
    /// How long these flushes took, with the writes before them.
    pub log_flush_time: DurationMetrics,
    /// Times that applied changes moved from memory into the state file.
    pub checkpoints: u64,
    /// How long that took.
    pub checkpoint_time: DurationMetrics,
    /// Bytes of applied changes that are in memory now and not yet in the state file.
    pub buffer_bytes: u64,
    /// Bytes that the state file uses now, its free pages left out.
    pub state_bytes: u64,
    /// Bytes that the files of the data directory take of the disk now.
    pub disk_bytes: u64,
    /// Times since the node was opened that it saw a leader take office, itself included.
    pub leader_changes: u64,
    /// Leases that ended by their time, as this node has applied it since it was opened: those of
    /// keys with a time to live among them, revoked ones not. What is replayed from the log at the
    /// start counts, what came in a snapshot does not.
    pub leases_expired: u64,
    /// Bytes of snapshots that this node has sent to others since it was opened, at most
    /// [`snapshot_bytes_per_second`](crate::Config::snapshot_bytes_per_second) in each second.
    pub snapshot_bytes_sent: u64,
    /// Bytes of snapshots that have come to this node.
    pub snapshot_bytes_received: u64,
    /// Times that a snapshot on its way from this node broke off. It goes on from there if the
    /// connection is back within a minute.
    pub snapshots_broken_off: u64,
    /// What is replicated, as this node has applied it.
    pub held: HeldMetrics,
    /// Those who watch on this node.
    pub watches: WatchMetrics,
    /// What this node has proposed as the leader.
    pub proposals: ProposalMetrics,
    /// How reads on this node were kept fresh.
    pub reads: ReadMetrics,
}

/// What a node holds of the replicated state now; the same on every node that has applied as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct HeldMetrics {
    /// Keys with a value.
    pub keys: u64,
    /// Bytes of these keys and their values.
    pub key_bytes: u64,
    /// Processes whose retries are recognised: one for each start of one that wrote, until it ends
    /// or has been silent for 15 minutes of led time. At most 65,536.
    pub sessions: u64,
    /// Leases: one for each key with a time to live among them, and those that are over while
    /// their last keys are taken away. At most 1,048,576.
    pub leases: u64,
    /// Locks that a lease holds. At most 262,144.
    pub locks_held: u64,
    /// Places in the queues of all locks.
    pub locks_waiting: u64,
    /// Request ids that are remembered, each for an hour of led time. At most 262,144.
    pub request_ids: u64,
    /// Bytes of these ids and their answers. About 256 MiB at most.
    pub request_bytes: u64,
}

/// The watches of a node, and the changes that it holds for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WatchMetrics {
    /// Watches now. At most 65,536.
    pub watchers: u64,
    /// Revisions with changes that are held now. At most 65,536.
    pub history_revisions: u64,
    /// Bytes of the keys and values of these changes, as they are and as they were before, and of
    /// what keeps them. At most 64 MiB.
    pub history_bytes: u64,
    /// The oldest revision from which a watch can begin now.
    pub oldest_revision: u64,
    /// Times since the node was opened that a watch was told that changes are gone, at its
    /// beginning or later; one that resyncs counts each time that it begins anew.
    pub compacted: u64,
}

/// What a node has proposed while it led, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProposalMetrics {
    /// Commands that were given to Raft: those of all nodes, and the leader's own.
    pub accepted: u64,
    /// Attempts that were turned away because too many commands were under way, the log waited for
    /// a checkpoint, or leadership was being handed over. Most are tried again and succeed.
    pub overloaded: u64,
}

/// What reads that are linearizable, or trust a lease, have asked for since the node was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReadMetrics {
    /// Reads that waited for a proof of who leads, each attempt of one.
    pub barriers: u64,
    /// Questions that were asked for that: of the voters by a leader, for other nodes too, or of
    /// the leader by another node. Reads that wait together share one.
    pub rounds: u64,
}
