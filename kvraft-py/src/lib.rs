//! The native half of `import kvraft`: it converts between Python and the core, and decides nothing.

mod backup;
mod bell;
mod bridge;
mod call;
mod config;
mod errors;
mod exit;
mod flow;
mod held;
mod integrity;
mod keywords;
mod lease;
mod lock;
mod logs;
mod map;
mod members;
mod metrics;
mod octets;
mod owned;
mod read;
mod rows;
mod seconds;
mod status;
mod wait;
mod watch;
mod write;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

#[pymodule(name = "_kvraft", gil_used = false)]
fn enter(module: &Bound<'_, PyModule>) -> PyResult<()> {
    refuse_subinterpreter(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<bridge::Bridge>()?;
    module.add_class::<call::Call>()?;
    module.add_class::<flow::Flow>()?;
    map::register(module)?;
    read::register(module)?;
    write::register(module)?;
    lease::register(module)?;
    lock::register(module)?;
    watch::register(module)?;
    integrity::register(module)?;
    members::register(module)?;
    backup::register(module)?;
    logs::register(module)?;
    exit::register(module.py())
}

/// From Python 3.12 on the interpreter does this itself; before, each one of a process would be given
/// the classes and the maps of the first.
fn refuse_subinterpreter(py: Python<'_>) -> PyResult<()> {
    if py.version_info() >= (3, 12) {
        return Ok(());
    }
    // Who built Python without it cannot make a subinterpreter either.
    let Ok(interpreters) = py.import("_xxsubinterpreters") else { return Ok(()) };
    let (main, own) =
        (interpreters.call_method0("get_main")?, interpreters.call_method0("get_current")?);
    if main.eq(own)? {
        return Ok(());
    }
    Err(PyImportError::new_err("module kvraft._kvraft does not support loading in subinterpreters"))
}
