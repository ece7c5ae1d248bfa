//! `Octets` is a key or a value as Python hands it in.

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};

/// The bytes of a bytes-like object, safe to read without the GIL.
pub(crate) enum Octets {
    /// A `bytes` object: it cannot change.
    Shared(PyBackedBytes),
    /// A copy of a buffer that other threads could change.
    Copied(Vec<u8>),
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Octets {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Ok(Self::Shared(bytes.to_owned().into()));
        }
        if object.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(
                "keys and values are bytes, not str; encode it, as in 'text'.encode()",
            ));
        }
        PyBuffer::<u8>::get(&object)?.to_vec(object.py()).map(Self::Copied)
    }
}
