//! The end of the interpreter closes the maps that are still open, so that a leader hands over.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::map::Map;

/// Weak references to the open maps: a Python set, since a lock of ours could be held at a fork.
static OPEN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Asks the interpreter to close all maps at its end.
pub(crate) fn register(py: Python<'_>) -> PyResult<()> {
    let close_all = wrap_pyfunction!(close_all, py)?;
    py.import("atexit")?.call_method1("register", (close_all,))?;
    Ok(())
}

/// Remembers an open map for as long as it lives.
pub(crate) fn remember(map: &Bound<'_, Map>) -> PyResult<()> {
    open_maps(map.py())?.call_method1("add", (map,))?;
    Ok(())
}

fn open_maps(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let open = OPEN
        .get_or_try_init(py, || py.import("weakref")?.call_method0("WeakSet").map(Bound::unbind))?;
    Ok(open.bind(py))
}

#[pyfunction]
fn close_all(py: Python<'_>) -> PyResult<()> {
    let maps: Vec<Bound<'_, Map>> =
        open_maps(py)?.try_iter()?.map(|map| Ok(map?.cast_into()?)).collect::<PyResult<_>>()?;
    for map in maps {
        if let Err(error) = map.get().close(py).and_then(|mut closing| closing.wait(py)) {
            error.write_unraisable(py, Some(map.as_any()));
        }
    }
    Ok(())
}
