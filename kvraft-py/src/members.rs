//! The membership: who votes, who leads, who goes.

use pyo3::prelude::*;

use crate::call::Call;
use crate::keywords::{number, text};
use crate::map::Map;

#[pyfunction]
fn promote(map: &Bound<'_, Map>, name: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = text("name", name)?;
    Ok(Call::done(async move { core.promote(name).await }))
}

#[pyfunction]
fn demote(map: &Bound<'_, Map>, name: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = text("name", name)?;
    Ok(Call::done(async move { core.demote(name).await }))
}

#[pyfunction]
fn remove_member(map: &Bound<'_, Map>, name: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let name = text("name", name)?;
    Ok(Call::done(async move { core.remove_member(name).await }))
}

#[pyfunction]
fn transfer_leadership(map: &Bound<'_, Map>, to: Option<&Bound<'_, PyAny>>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let to = to.map(|to| text("to", to)).transpose()?;
    Ok(Call::done(async move { core.transfer_leadership(to.as_deref()).await }))
}

#[pyfunction]
fn shrink(map: &Bound<'_, Map>, voters: &Bound<'_, PyAny>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let voters = number("voters", voters)?;
    Ok(Call::done(async move { core.shrink(voters).await }))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(promote, module)?)?;
    module.add_function(wrap_pyfunction!(demote, module)?)?;
    module.add_function(wrap_pyfunction!(remove_member, module)?)?;
    module.add_function(wrap_pyfunction!(transfer_leadership, module)?)?;
    module.add_function(wrap_pyfunction!(shrink, module)?)
}
