//! The metrics of a node as a dictionary.

use kvraft::{DurationMetrics, Metrics};
use pyo3::prelude::*;
use pyo3::types::PyDict;

pub(crate) fn to_dict<'py>(py: Python<'py>, metrics: &Metrics) -> PyResult<Bound<'py, PyDict>> {
    let Metrics { held, watches, proposals, reads, .. } = metrics;
    let dict = of(
        py,
        &[
            ("log_entries", metrics.log_entries),
            ("log_batches", metrics.log_batches),
            ("log_flushes", metrics.log_flushes),
            ("checkpoints", metrics.checkpoints),
            ("buffer_bytes", metrics.buffer_bytes),
            ("state_bytes", metrics.state_bytes),
            ("disk_bytes", metrics.disk_bytes),
            ("leader_changes", metrics.leader_changes),
            ("leases_expired", metrics.leases_expired),
            ("snapshot_bytes_sent", metrics.snapshot_bytes_sent),
            ("snapshot_bytes_received", metrics.snapshot_bytes_received),
            ("snapshots_broken_off", metrics.snapshots_broken_off),
        ],
    )?;
    dict.set_item("log_flush_time", durations(py, &metrics.log_flush_time)?)?;
    dict.set_item("checkpoint_time", durations(py, &metrics.checkpoint_time)?)?;
    dict.set_item(
        "held",
        of(
            py,
            &[
                ("keys", held.keys),
                ("key_bytes", held.key_bytes),
                ("sessions", held.sessions),
                ("leases", held.leases),
                ("locks_held", held.locks_held),
                ("locks_waiting", held.locks_waiting),
                ("request_ids", held.request_ids),
                ("request_bytes", held.request_bytes),
            ],
        )?,
    )?;
    dict.set_item(
        "watches",
        of(
            py,
            &[
                ("watchers", watches.watchers),
                ("history_revisions", watches.history_revisions),
                ("history_bytes", watches.history_bytes),
                ("oldest_revision", watches.oldest_revision),
                ("compacted", watches.compacted),
            ],
        )?,
    )?;
    let proposals = [("accepted", proposals.accepted), ("overloaded", proposals.overloaded)];
    dict.set_item("proposals", of(py, &proposals)?)?;
    dict.set_item("reads", of(py, &[("barriers", reads.barriers), ("rounds", reads.rounds)])?)?;
    Ok(dict)
}

fn durations<'py>(py: Python<'py>, took: &DurationMetrics) -> PyResult<Bound<'py, PyDict>> {
    let dict = of(py, &[("count", took.count), ("total_micros", took.total_micros)])?;
    dict.set_item("within", took.classes().collect::<Vec<_>>())?;
    Ok(dict)
}

fn of<'py>(py: Python<'py>, counts: &[(&str, u64)]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, count) in counts {
        dict.set_item(name, count)?;
    }
    Ok(dict)
}
