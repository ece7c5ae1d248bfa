//! `Map` is the handle of the core that a map of Python holds: what all verbs are asked of.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::call::Call;
use crate::keywords::path;
use crate::owned::Owned;
use crate::seconds::span;
use crate::{config, exit, metrics, status};

/// A member of this process, or a client of members.
#[pyclass(frozen, weakref, module = "kvraft._kvraft")]
pub(crate) struct Map {
    core: Owned<kvraft::ReplicatedMap>,
}

impl Map {
    fn from_core(py: Python<'_>, core: kvraft::ReplicatedMap) -> PyResult<Py<PyAny>> {
        let map = Bound::new(py, Self { core: Owned::new(core) })?;
        exit::remember(&map)?;
        Ok(map.into_any().unbind())
    }

    /// Returns the map that verbs are asked of.
    pub(crate) fn core(&self, py: Python<'_>) -> PyResult<&kvraft::ReplicatedMap> {
        self.core.get(py)
    }

    /// Has the core do something of which the future needs a handle of its own.
    pub(crate) fn handle(&self, py: Python<'_>) -> PyResult<kvraft::ReplicatedMap> {
        self.core.get(py).cloned()
    }
}

#[pymethods]
impl Map {
    /// Says what this node knows of itself, without asking anyone.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.core(py)?;
        let status = py.detach(|| core.status());
        status::to_dict(py, &status)
    }

    /// Says how much this node has done, without asking anyone.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.core(py)?;
        let metrics = py.detach(|| core.metrics());
        metrics::to_dict(py, &metrics.map_err(|error| crate::errors::raised(py, &error))?)
    }

    /// The largest value in bytes that the cluster takes now.
    fn max_value_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.core(py)?.max_value_bytes().map_err(|error| crate::errors::raised(py, &error))
    }

    /// The largest command in bytes that the cluster takes now.
    fn max_command_bytes(&self, py: Python<'_>) -> PyResult<usize> {
        self.core(py)?.max_command_bytes().map_err(|error| crate::errors::raised(py, &error))
    }

    /// Waits until this node has recovered and knows a leader.
    fn wait_ready(&self, py: Python<'_>, timeout: &Bound<'_, PyAny>) -> PyResult<Call> {
        let (core, timeout) = (self.handle(py)?, span("timeout", timeout)?);
        Ok(Call::done(async move { core.wait_ready(timeout).await }))
    }

    /// Stops the node.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<Call> {
        if self.core.is_forked() {
            return Ok(Call::done(async { Ok(()) })); // The map is the parent's to close.
        }
        let core = self.handle(py)?;
        Ok(Call::done(async move { core.close().await }))
    }

    /// Whether another process has opened this map, and this one was forked from it.
    fn is_forked(&self) -> bool {
        self.core.is_forked()
    }
}

/// Opens the node whose data lies in `data_dir`, and starts it.
#[pyfunction]
#[pyo3(signature = (data_dir, **settings))]
fn open(data_dir: &Bound<'_, PyAny>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Call> {
    let config = config::of_member(path("data_dir", data_dir)?, settings)?;
    Ok(Call::new(kvraft::ReplicatedMap::open(config), Map::from_core))
}

/// Connects to the members that answer at the endpoints.
#[pyfunction]
#[pyo3(signature = (endpoints, **settings))]
fn connect(endpoints: &Bound<'_, PyAny>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Call> {
    let config = config::of_client(endpoints, settings)?;
    Ok(Call::new(kvraft::ReplicatedMap::connect(config), Map::from_core))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Map>()?;
    module.add("SETTINGS", kvraft::Config::NAMES)?;
    module.add("CLIENT_SETTINGS", kvraft::ClientConfig::NAMES)?;
    module.add_function(wrap_pyfunction!(open, module)?)?;
    module.add_function(wrap_pyfunction!(connect, module)?)
}
