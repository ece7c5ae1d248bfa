//! The way from the core's `Error` to the exception of its kind.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// Makes the exception of `error`'s kind.
pub(crate) fn raised(py: Python<'_>, error: &kvraft::Error) -> PyErr {
    of_kind(py, error.kind(), &error.to_string(), error.revision())
}

/// Makes the exception of an argument that no setting or call of the core can take.
pub(crate) fn invalid(py: Python<'_>, message: &str) -> PyErr {
    of_kind(py, kvraft::ErrorKind::InvalidArgument, message, None)
}

/// Makes the exception of a lease or a lock that was given back.
pub(crate) fn expired(py: Python<'_>, message: &str) -> PyErr {
    of_kind(py, kvraft::ErrorKind::Expired, message, None)
}

/// Makes the exception of a map that was opened by another process.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let message = "this map was opened before a fork, and its threads stayed in the parent; \
                   open one in this process, in a data directory of its own";
    of_kind(py, kvraft::ErrorKind::Closed, message, None)
}

/// Makes the exception of a panic that was caught before it reached the interpreter.
pub(crate) fn panicked(py: Python<'_>, said: &str) -> PyErr {
    let message = format!("kvraft panicked: {said}; please report it");
    of_kind(py, kvraft::ErrorKind::Internal, &message, None)
}

/// The classes stand in Python, where a class may have two bases; they are found by the kind's name.
fn of_kind(py: Python<'_>, kind: kvraft::ErrorKind, message: &str, revision: Option<u64>) -> PyErr {
    static OF_KIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = OF_KIND
        .import(py, "kvraft._errors", "of_kind")
        .and_then(|of_kind| of_kind.call1((kind.name(), message, revision)))
        .and_then(|error| Ok(error.cast_into::<PyBaseException>()?));
    made.map_or_else(|failure| failure, |error| PyErr::from_value(error.into_any()))
}
