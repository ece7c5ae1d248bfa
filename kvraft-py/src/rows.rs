//! Rows: what the core answers as the tuples that the Python half makes its own types of.

use kvraft::{Deleted, Entry, Incremented, LeaseInfo, OpResult, Put, TxnResult, WatchEvent};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::octets::to_py;

/// `(key, value, revision, created, lease)`
pub(crate) fn entry(py: Python<'_>, entry: &Entry) -> PyResult<Py<PyAny>> {
    let (key, value) = (to_py(py, &entry.key)?, to_py(py, &entry.value)?);
    let lease = entry.lease.map(|lease| lease.to_string());
    object((key, value, entry.revision, entry.created, lease).into_pyobject(py))
}

/// An entry, or `None`.
pub(crate) fn maybe_entry(py: Python<'_>, found: Option<&Entry>) -> PyResult<Py<PyAny>> {
    found.map_or_else(|| Ok(py.None()), |found| entry(py, found))
}

pub(crate) fn entries(py: Python<'_>, found: &[Entry]) -> PyResult<Py<PyAny>> {
    list(py, found, entry)
}

/// `(revision, replaced, previous)`
pub(crate) fn put(py: Python<'_>, put: &Put) -> PyResult<Py<PyAny>> {
    let previous = maybe_entry(py, put.previous.as_ref())?;
    object((put.revision, put.replaced, previous).into_pyobject(py))
}

/// `(revision, existed, previous)`
pub(crate) fn deleted(py: Python<'_>, deleted: &Deleted) -> PyResult<Py<PyAny>> {
    let previous = maybe_entry(py, deleted.previous.as_ref())?;
    object((deleted.revision, deleted.existed, previous).into_pyobject(py))
}

/// `(revision, value)`
pub(crate) fn incremented(py: Python<'_>, sum: Incremented) -> PyResult<Py<PyAny>> {
    object((sum.revision, sum.value).into_pyobject(py))
}

/// `(revision, succeeded, [(kind, …)])`
pub(crate) fn txn(py: Python<'_>, done: &TxnResult) -> PyResult<Py<PyAny>> {
    let results = list(py, &done.results, |py, result| op_result(py, done.revision, result))?;
    object((done.revision, done.succeeded, results).into_pyobject(py))
}

fn op_result(py: Python<'_>, revision: u64, result: &OpResult) -> PyResult<Py<PyAny>> {
    let (kind, row) = match result {
        OpResult::Got(found) => ("got", maybe_entry(py, found.as_ref())?),
        OpResult::Put { replaced, previous } => {
            let previous = maybe_entry(py, previous.as_ref())?;
            ("put", object((revision, *replaced, previous).into_pyobject(py))?)
        }
        OpResult::Deleted { existed, previous } => {
            let previous = maybe_entry(py, previous.as_ref())?;
            ("deleted", object((revision, *existed, previous).into_pyobject(py))?)
        }
        OpResult::Incremented(value) => {
            ("incremented", incremented(py, Incremented { revision, value: *value })?)
        }
        // The core has a kind that this version of the face does not know.
        _ => ("unknown", py.None()),
    };
    object((kind, row).into_pyobject(py))
}

/// `(id, ttl, remaining, keys)`
pub(crate) fn lease_info(py: Python<'_>, info: &LeaseInfo) -> PyResult<Py<PyAny>> {
    let keys = list(py, &info.keys, |py, key| Ok(to_py(py, key)?.into_any().unbind()))?;
    let (ttl, remaining) = (info.ttl.as_secs_f64(), info.remaining.as_secs_f64());
    object((info.id.to_string(), ttl, remaining, keys).into_pyobject(py))
}

/// `(kind, …)`
pub(crate) fn event(py: Python<'_>, event: &WatchEvent) -> PyResult<Py<PyAny>> {
    match event {
        WatchEvent::Changes { revision, changes } => {
            let changes = list(py, changes, |py, change| {
                let now = maybe_entry(py, change.entry.as_ref())?;
                let before = maybe_entry(py, change.previous.as_ref())?;
                object((to_py(py, &change.key)?, now, before).into_pyobject(py))
            })?;
            object(("changes", *revision, changes).into_pyobject(py))
        }
        WatchEvent::SnapshotBegin { revision } => object(("begin", *revision).into_pyobject(py)),
        WatchEvent::SnapshotEntries(found) => {
            object(("entries", entries(py, found)?).into_pyobject(py))
        }
        WatchEvent::SnapshotEnd { revision } => object(("end", *revision).into_pyobject(py)),
        _ => object(("unknown",).into_pyobject(py)),
    }
}

fn list<T>(
    py: Python<'_>,
    items: &[T],
    row: impl Fn(Python<'_>, &T) -> PyResult<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let list = PyList::empty(py);
    for item in items {
        list.append(row(py, item)?)?;
    }
    Ok(list.into_any().unbind())
}

fn object(tuple: PyResult<Bound<'_, PyTuple>>) -> PyResult<Py<PyAny>> {
    Ok(tuple?.into_any().unbind())
}
