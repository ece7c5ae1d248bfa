//! Time spans as Python writes them: a number of seconds.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::errors;
use crate::keywords::wrong;

/// Takes the time span that the argument `name` has as its value.
pub(crate) fn span(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    if value.is_instance_of::<PyBool>() {
        return Err(wrong(name, "a number of seconds", value));
    }
    let seconds: f64 = value.extract().map_err(|_| wrong(name, "a number of seconds", value))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let message = format!("{name} is {seconds}; take a number of seconds, as in 2.5");
        errors::invalid(value.py(), &message)
    })
}
