//! Whether all members have the same state, and a member that fetches that of another.

use kvraft::Verification;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::call::Call;
use crate::map::Map;

#[pyfunction]
fn verify(map: &Bound<'_, Map>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    Ok(Call::new(async move { core.verify().await }, |py, verification| told(py, &verification)))
}

#[pyfunction]
fn refill(map: &Bound<'_, Map>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    Ok(Call::done(async move { core.refill().await }))
}

fn told(py: Python<'_>, verification: &Verification) -> PyResult<Py<PyAny>> {
    let members = PyList::empty(py);
    for member in &verification.members {
        let dict = PyDict::new(py);
        dict.set_item("name", &member.name)?;
        dict.set_item("node_id", &member.node_id)?;
        dict.set_item("voter", member.voter)?;
        dict.set_item("state_hash", &member.state_hash)?;
        dict.set_item("failure", &member.failure)?;
        members.append(dict)?;
    }
    let diverged: Vec<_> = verification.diverged().map(|member| &member.name).collect();
    let dict = PyDict::new(py);
    dict.set_item("verdict", verification.verdict().name())?;
    dict.set_item("revision", verification.revision)?;
    dict.set_item("diverged", diverged)?;
    dict.set_item("members", members)?;
    Ok(dict.into_any().unbind())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(verify, module)?)?;
    module.add_function(wrap_pyfunction!(refill, module)?)
}
