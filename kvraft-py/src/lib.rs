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

use pyo3::prelude::*;

#[pymodule(name = "_kvraft", gil_used = false)]
fn enter(module: &Bound<'_, PyModule>) -> PyResult<()> {
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
