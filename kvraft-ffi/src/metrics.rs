//! `kvraft_metrics_json` says how much a node has done and how much it holds.

use std::mem::MaybeUninit;

use kvraft::{DurationMetrics, Metrics};
use serde_json::{Value, json};

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// Says how much this node has done since it was opened, and how much it holds, without asking anyone:
/// a JSON object of numbers, in part grouped as held, watches, proposals and reads: "keys" in "held",
/// "logFlushes" and so on. What is counted starts from 0 at every open and only grows. Names may be
/// added in any release.
///
/// json: where the text goes, as UTF-8. A NUL byte follows it that the length does not count. Free
/// it with kvraft_bytes_free.
///
/// KVRAFT_CLOSED: the map is closed, or this is a forked child.
/// KVRAFT_STORAGE: the state file cannot be read.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_metrics_json(
    map: Option<&kvraft_map>,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::tell(json, "json", error, || Ok(object(&usable(map)?.metrics()?).to_string()))
}

fn durations(took: &DurationMetrics) -> Value {
    json!({
        "count": took.count,
        "totalMicros": took.total_micros,
        "within": took.classes().collect::<Vec<_>>(),
    })
}

fn object(metrics: &Metrics) -> Value {
    json!({
        "logEntries": metrics.log_entries,
        "logBatches": metrics.log_batches,
        "logFlushes": metrics.log_flushes,
        "logFlushTime": durations(&metrics.log_flush_time),
        "checkpoints": metrics.checkpoints,
        "checkpointTime": durations(&metrics.checkpoint_time),
        "bufferBytes": metrics.buffer_bytes,
        "stateBytes": metrics.state_bytes,
        "diskBytes": metrics.disk_bytes,
        "leaderChanges": metrics.leader_changes,
        "leasesExpired": metrics.leases_expired,
        "snapshotBytesSent": metrics.snapshot_bytes_sent,
        "snapshotBytesReceived": metrics.snapshot_bytes_received,
        "snapshotsBrokenOff": metrics.snapshots_broken_off,
        "held": {
            "keys": metrics.held.keys,
            "keyBytes": metrics.held.key_bytes,
            "sessions": metrics.held.sessions,
            "leases": metrics.held.leases,
            "locksHeld": metrics.held.locks_held,
            "locksWaiting": metrics.held.locks_waiting,
            "requestIds": metrics.held.request_ids,
            "requestBytes": metrics.held.request_bytes,
        },
        "watches": {
            "watchers": metrics.watches.watchers,
            "historyRevisions": metrics.watches.history_revisions,
            "historyBytes": metrics.watches.history_bytes,
            "oldestRevision": metrics.watches.oldest_revision,
            "compacted": metrics.watches.compacted,
        },
        "proposals": {
            "accepted": metrics.proposals.accepted,
            "overloaded": metrics.proposals.overloaded,
        },
        "reads": { "barriers": metrics.reads.barriers, "rounds": metrics.reads.rounds },
    })
}
