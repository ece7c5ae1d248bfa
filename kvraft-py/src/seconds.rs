//! `Seconds` is a time span as Python writes one: a number of seconds.

use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::errors;

/// The `timeout` of a call.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl<'a, 'py> FromPyObject<'a, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        span("timeout", &object).map(Self)
    }
}

/// Takes the time span that the argument `name` has as its value.
pub(crate) fn span(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = value
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{name} takes a number of seconds")))?;
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        let message = format!("{name} is {seconds}; take a number of seconds, as in 2.5");
        errors::invalid(value.py(), &message)
    })
}
