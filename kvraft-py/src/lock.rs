//! Locks: those of a guard that holds a lease of its own, and those for a lease of the caller's.

use pyo3::prelude::*;

use crate::call::Call;
use crate::errors;
use crate::held::Held;
use crate::keywords::{self, lease_id};
use crate::map::Map;
use crate::octets::to_py;
use crate::owned::Owned;
use crate::seconds::span;

/// A lock that is held for as long as this lives.
#[pyclass(frozen, module = "kvraft._kvraft")]
pub(crate) struct Lock {
    #[pyo3(get)]
    name: Py<PyAny>,
    #[pyo3(get)]
    token: u64,
    #[pyo3(get)]
    lease: String,
    map: Owned<kvraft::ReplicatedMap>,
    held: Held<kvraft::Lock>,
}

impl Lock {
    fn object(
        py: Python<'_>,
        map: kvraft::ReplicatedMap,
        lock: kvraft::Lock,
    ) -> PyResult<Py<PyAny>> {
        let name = to_py(py, lock.name())?.into_any().unbind();
        let (token, lease) = (lock.token(), lock.lease().id().to_string());
        let held = Held::new(lock, |lock| async move { lock.lost().await });
        Ok(Py::new(py, Self { name, token, lease, map: Owned::new(map), held })?.into_any())
    }
}

#[pymethods]
impl Lock {
    /// Whether the lock is certainly still held.
    fn is_held(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.held.ask(py, kvraft::Lock::is_held)?.unwrap_or(false))
    }

    /// Waits until the lock may be another's.
    fn lost(&self, py: Python<'_>) -> PyResult<Call> {
        self.held.ended(py)
    }

    /// Gives the lock back.
    fn unlock(&self, py: Python<'_>) -> PyResult<Call> {
        let map = self.map.get(py)?.clone();
        let lock = self.held.let_go(py)?;
        let lock = lock.ok_or_else(|| errors::expired(py, "this lock was given back before"))?;
        Ok(Call::done(async move {
            let released = map.release(lock.name(), lock.lease().id()).await;
            // Its lease goes with it, in the background.
            drop(lock);
            released
        }))
    }
}

/// Takes a lock, and waits for it as long as it takes or `timeout` says.
#[pyfunction]
#[pyo3(signature = (map, name, ttl, timeout))]
fn lock(
    map: &Bound<'_, Map>,
    name: &Bound<'_, PyAny>,
    ttl: &Bound<'_, PyAny>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = keywords::name("name", name)?;
    let ttl = span("ttl", ttl)?;
    let timeout = timeout.map(|timeout| span("timeout", timeout)).transpose()?;
    let map = core.clone();
    let taking = async move {
        match timeout {
            Some(timeout) => core.lock_within(name, ttl, timeout).await,
            None => core.lock(name, ttl).await,
        }
    };
    Ok(Call::new(taking, |py, lock| Lock::object(py, map, lock)))
}

/// Takes a lock if it is free, and answers `None` if it is held.
#[pyfunction]
fn try_lock(
    map: &Bound<'_, Map>,
    name: &Bound<'_, PyAny>,
    ttl: &Bound<'_, PyAny>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = keywords::name("name", name)?;
    let ttl = span("ttl", ttl)?;
    let map = core.clone();
    Ok(Call::new(async move { core.try_lock(name, ttl).await }, |py, lock| match lock {
        Some(lock) => Lock::object(py, map, lock),
        None => Ok(py.None()),
    }))
}

/// Takes a lock for a lease, and answers with the fencing token.
#[pyfunction]
fn acquire(
    map: &Bound<'_, Map>,
    name: &Bound<'_, PyAny>,
    lease: &Bound<'_, PyAny>,
    timeout: &Bound<'_, PyAny>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = keywords::name("name", name)?;
    let (lease, timeout) = (lease_id(lease)?, span("timeout", timeout)?);
    let acquire = async move { core.acquire(name, lease, timeout).await };
    Ok(Call::new(acquire, |py, token| Ok(token.into_pyobject(py)?.into_any().unbind())))
}

/// Gives back the lock, or the place in its queue, that a lease has.
#[pyfunction]
fn release(
    map: &Bound<'_, Map>,
    name: &Bound<'_, PyAny>,
    lease: &Bound<'_, PyAny>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = keywords::name("name", name)?;
    let lease = lease_id(lease)?;
    Ok(Call::done(async move { core.release(name, lease).await }))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Lock>()?;
    module.add_function(wrap_pyfunction!(lock, module)?)?;
    module.add_function(wrap_pyfunction!(try_lock, module)?)?;
    module.add_function(wrap_pyfunction!(acquire, module)?)?;
    module.add_function(wrap_pyfunction!(release, module)?)
}
