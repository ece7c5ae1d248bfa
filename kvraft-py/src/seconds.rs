//! `Seconds` is a time span as Python writes one: a number of seconds.

use std::time::Duration;

use pyo3::prelude::*;

use crate::errors;

/// A time span; never negative.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl<'a, 'py> FromPyObject<'a, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let seconds: f64 = object.extract()?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| {
            let message = format!("{seconds} is not a time span; take seconds, as in 2.5");
            errors::invalid(object.py(), &message)
        })
    }
}
