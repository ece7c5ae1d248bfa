//! `Octets` is a key or a value on its way between Python and the core.

use kvraft::Bytes;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyString};

/// From this size on, a copy is made without the GIL: it takes longer than to let go of it.
const LONG_COPY: usize = 16 << 10;

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
                "keys and values are bytes here, not str; encode it, or open the map with \
                 codec=\"str\"",
            ));
        }
        PyBuffer::<u8>::get(&object)?.to_vec(object.py()).map(Self::Copied)
    }
}

/// The name of a lock or of a request: bytes, or text in UTF-8.
pub(crate) struct Name(Octets);

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Name {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self(Octets::Copied(text.to_str()?.into())));
        }
        object.extract().map(Self)
    }
}

/// Makes the `bytes` object of a key or a value.
pub(crate) fn to_py<'py>(py: Python<'py>, octets: &Bytes) -> PyResult<Bound<'py, PyBytes>> {
    if octets.len() < LONG_COPY {
        return Ok(PyBytes::new(py, octets));
    }
    PyBytes::new_with(py, octets.len(), |target| {
        py.detach(|| target.copy_from_slice(octets));
        Ok(())
    })
}
