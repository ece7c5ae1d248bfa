//! The native half of `import kvraft`: it converts between Python and the core, and decides nothing.

mod config;
mod entry;
mod errors;
mod exit;
mod map;
mod octets;
mod owned;
mod scan;
mod seconds;
mod status;
mod wait;

use pyo3::prelude::*;

#[pymodule(name = "_kvraft", gil_used = false)]
fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<map::ReplicatedMap>()?;
    module.add_class::<entry::Entry>()?;
    module.add_class::<scan::Scan>()?;
    module.add_function(wrap_pyfunction!(map::open, module)?)?;
    exit::register(module.py())
}
