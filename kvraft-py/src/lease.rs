//! Leases: those that a handle keeps alive, and those that their owner does.

use pyo3::prelude::*;

use crate::call::Call;
use crate::errors;
use crate::held::Held;
use crate::keywords::{Keywords, lease_id, read_options};
use crate::map::Map;
use crate::owned::Owned;
use crate::rows;
use crate::seconds::span;

/// A lease that is kept alive for as long as this lives.
#[pyclass(frozen, module = "kvraft._kvraft")]
pub(crate) struct Lease {
    #[pyo3(get)]
    id: String,
    #[pyo3(get)]
    ttl: f64,
    map: Owned<kvraft::ReplicatedMap>,
    held: Held<kvraft::Lease>,
}

impl Lease {
    fn object(
        py: Python<'_>,
        map: kvraft::ReplicatedMap,
        lease: kvraft::Lease,
    ) -> PyResult<Py<PyAny>> {
        let (id, ttl) = (lease.id().to_string(), lease.ttl().as_secs_f64());
        let held = Held::new(lease, |lease| async move { lease.ended().await });
        Ok(Py::new(py, Self { id, ttl, map: Owned::new(map), held })?.into_any())
    }
}

#[pymethods]
impl Lease {
    /// Whether the lease is certainly still there.
    fn is_alive(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.held.ask(py, kvraft::Lease::is_alive)?.unwrap_or(false))
    }

    /// Waits until the lease may have ended.
    fn ended(&self, py: Python<'_>) -> PyResult<Call> {
        self.held.ended(py)
    }

    /// Ends the lease now.
    fn revoke(&self, py: Python<'_>) -> PyResult<Call> {
        let map = self.map.get(py)?.clone();
        let lease = self.held.let_go(py)?;
        let lease = lease.ok_or_else(|| errors::expired(py, "this lease was revoked before"))?;
        let id = lease.id();
        drop(lease);
        Ok(Call::done(async move { map.revoke_lease(id).await }))
    }
}

/// Grants a lease and keeps it alive.
#[pyfunction]
fn lease(map: &Bound<'_, Map>, ttl: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let ttl = span("ttl", ttl)?;
    let map = core.clone();
    let lease = async move { core.lease(ttl).await };
    Ok(Call::new(lease, |py, lease| Lease::object(py, map, lease)))
}

/// Grants a lease, and answers with its id.
#[pyfunction]
fn grant_lease(map: &Bound<'_, Map>, ttl: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let ttl = span("ttl", ttl)?;
    Ok(Call::new(async move { core.grant_lease(ttl).await }, |py, id| {
        Ok(id.to_string().into_pyobject(py)?.into_any().unbind())
    }))
}

#[pyfunction]
fn keep_alive(map: &Bound<'_, Map>, lease: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let lease = lease_id(lease)?;
    Ok(Call::done(async move { core.keep_alive(lease).await }))
}

#[pyfunction]
fn revoke_lease(map: &Bound<'_, Map>, lease: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let lease = lease_id(lease)?;
    Ok(Call::done(async move { core.revoke_lease(lease).await }))
}

/// Answers `(id, ttl, remaining, keys)`.
#[pyfunction]
#[pyo3(signature = (map, lease, **options))]
fn lease_info(
    map: &Bound<'_, Map>,
    lease: &Bound<'_, PyAny>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let (lease, options) = (lease_id(lease)?, read_options("lease_info", options)?);
    let info = async move { core.lease_info(lease, options).await };
    Ok(Call::new(info, |py, info| rows::lease_info(py, &info)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Lease>()?;
    module.add_function(wrap_pyfunction!(lease, module)?)?;
    module.add_function(wrap_pyfunction!(grant_lease, module)?)?;
    module.add_function(wrap_pyfunction!(keep_alive, module)?)?;
    module.add_function(wrap_pyfunction!(revoke_lease, module)?)?;
    module.add_function(wrap_pyfunction!(lease_info, module)?)
}
