//! `kvraft_metrics_json` says how much a node has done and how much it holds.

use std::mem::MaybeUninit;

use kvraft::Metrics;
use serde_json::{Value, json};

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// Says how much this node has done since it was opened, and how much it holds, without asking anyone:
/// a JSON object of numbers, in part grouped as held, watches, proposals and reads. What is counted
/// starts from 0 at every open and only grows. Names may be added in any release.
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

fn object(metrics: &Metrics) -> Value {
    json!({
        "log_entries": metrics.log_entries,
        "log_batches": metrics.log_batches,
        "log_flushes": metrics.log_flushes,
        "checkpoints": metrics.checkpoints,
        "buffer_bytes": metrics.buffer_bytes,
        "state_bytes": metrics.state_bytes,
        "leases_expired": metrics.leases_expired,
        "held": {
            "keys": metrics.held.keys,
            "key_bytes": metrics.held.key_bytes,
            "sessions": metrics.held.sessions,
            "leases": metrics.held.leases,
            "locks_held": metrics.held.locks_held,
            "locks_waiting": metrics.held.locks_waiting,
            "request_ids": metrics.held.request_ids,
            "request_bytes": metrics.held.request_bytes,
        },
        "watches": {
            "watchers": metrics.watches.watchers,
            "history_revisions": metrics.watches.history_revisions,
            "history_bytes": metrics.watches.history_bytes,
            "oldest_revision": metrics.watches.oldest_revision,
            "compacted": metrics.watches.compacted,
        },
        "proposals": {
            "accepted": metrics.proposals.accepted,
            "overloaded": metrics.proposals.overloaded,
        },
        "reads": { "barriers": metrics.reads.barriers, "rounds": metrics.reads.rounds },
    })
}
