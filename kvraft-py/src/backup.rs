//! Backups, and what can be done with the files of a node that does not run.

use std::time::UNIX_EPOCH;

use futures_util::StreamExt as _;
use kvraft::{BackupInfo, RestoreOptions, Restored, Verified};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::oneshot;

use crate::call::Call;
use crate::flow::{Flow, Shape};
use crate::keywords::{Keywords, number, path, read_options, text};
use crate::map::Map;
use crate::octets::to_py;

const CHUNKS: Shape<kvraft::Bytes> =
    Shape { bytes: kvraft::Bytes::len, row: |py, chunk| Ok(to_py(py, chunk)?.into_any().unbind()) };

/// Takes a backup; answers `(info, flow of its chunks)`.
#[pyfunction]
#[pyo3(signature = (map, **options))]
fn backup(map: &Bound<'_, Map>, options: Option<Keywords<'_, '_>>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options = read_options("backup", options)?;
    let backup = async move { core.backup_with(options).await };
    Ok(Call::new(backup, |py, backup| {
        let info = info(py, backup.info())?;
        let chunks = Flow::of(py, backup.boxed(), &CHUNKS)?;
        Ok((info, chunks).into_pyobject(py)?.into_any().unbind())
    }))
}

#[pyfunction]
fn restore(
    from_: &Bound<'_, PyAny>,
    data_dir: &Bound<'_, PyAny>,
    name: &Bound<'_, PyAny>,
    above: &Bound<'_, PyAny>,
) -> PyResult<Call> {
    let (from_, data_dir) = (path("from_", from_)?, path("data_dir", data_dir)?);
    let name = text("name", name)?;
    let options = RestoreOptions::new(from_, data_dir, name).above(number("above", above)?);
    offline(
        move || kvraft::restore(&options),
        |py, made| Ok(restored(py, &made)?.into_any().unbind()),
    )
}

#[pyfunction]
fn recover_quorum(data_dir: &Bound<'_, PyAny>, into: &Bound<'_, PyAny>) -> PyResult<Call> {
    let (data_dir, into) = (path("data_dir", data_dir)?, path("into", into)?);
    offline(
        move || kvraft::recover_quorum(data_dir, into),
        |py, recovered| {
            let dict = restored(py, &recovered.restored)?;
            dict.set_item("name", recovered.name)?;
            dict.set_item("committed", recovered.committed)?;
            dict.set_item("last", recovered.last)?;
            Ok(dict.into_any().unbind())
        },
    )
}

#[pyfunction]
fn verify_backup(file: &Bound<'_, PyAny>) -> PyResult<Call> {
    let file = path("file", file)?;
    offline(move || kvraft::verify_backup(file), verified)
}

#[pyfunction]
fn verify_data_dir(data_dir: &Bound<'_, PyAny>) -> PyResult<Call> {
    let data_dir = path("data_dir", data_dir)?;
    offline(move || kvraft::verify_data_dir(data_dir), verified)
}

/// Does what blocks on a thread of its own. Who gives up waiting does not end it.
fn offline<T: Send + 'static>(
    work: impl FnOnce() -> kvraft::Result<T> + Send + 'static,
    convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
) -> PyResult<Call> {
    let (answer, answered) = oneshot::channel();
    let run = move || {
        // Nobody may be there any more to be told.
        drop(answer.send(work()));
    };
    let thread = std::thread::Builder::new().name("kvraft-offline".to_owned());
    thread.spawn(run).map_err(|error| PyOSError::new_err(error.to_string()))?;
    Ok(Call::new(async move { Ok(answered.await) }, |py, answered| {
        let panicked = || crate::errors::panicked(py, "its thread has ended");
        let answer = answered.map_err(|_| panicked())?;
        convert(py, answer.map_err(|error| crate::errors::raised(py, &error))?)
    }))
}

fn info<'py>(py: Python<'py>, info: &BackupInfo) -> PyResult<Bound<'py, PyDict>> {
    let changed = info.changed.duration_since(UNIX_EPOCH).unwrap_or_default();
    let dict = PyDict::new(py);
    dict.set_item("cluster", &info.cluster)?;
    dict.set_item("revision", info.revision)?;
    dict.set_item("entries", info.entries)?;
    dict.set_item("bytes", info.bytes)?;
    dict.set_item("changed", changed.as_secs_f64())?;
    Ok(dict)
}

fn restored<'py>(py: Python<'py>, restored: &Restored) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("cluster", &restored.cluster)?;
    dict.set_item("node_id", &restored.node_id)?;
    dict.set_item("next_revision", restored.next_revision)?;
    dict.set_item("backup", info(py, &restored.backup)?)?;
    Ok(dict)
}

fn verified(py: Python<'_>, verified: Verified) -> PyResult<Py<PyAny>> {
    let dict = PyDict::new(py);
    let is_sound = verified.is_sound();
    let counts = PyDict::new(py);
    for (name, count) in verified.counts {
        counts.set_item(name, count)?;
    }
    let facts = PyDict::new(py);
    for (name, fact) in verified.facts {
        facts.set_item(name, fact)?;
    }
    dict.set_item("is_sound", is_sound)?;
    dict.set_item("counts", counts)?;
    dict.set_item("facts", facts)?;
    dict.set_item("damage", verified.damage)?;
    dict.set_item("more_damage", verified.more_damage)?;
    Ok(dict.into_any().unbind())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(backup, module)?)?;
    module.add_function(wrap_pyfunction!(restore, module)?)?;
    module.add_function(wrap_pyfunction!(recover_quorum, module)?)?;
    module.add_function(wrap_pyfunction!(verify_backup, module)?)?;
    module.add_function(wrap_pyfunction!(verify_data_dir, module)?)
}
