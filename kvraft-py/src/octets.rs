//! `Octets` is a key or a value on its way between Python and the core.

use kvraft::Bytes;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyMemoryView, PyString};

/// From this size on, a copy is made without the GIL: it takes longer than to let go of it.
const LONG_COPY: usize = 16 << 10;

/// The bytes of a bytes-like object, which the core copies once and without the GIL.
pub(crate) enum Octets {
    /// A `bytes` object: it cannot change.
    Shared(PyBackedBytes),
    /// The memory of another object, on loan until the core has copied it.
    Lent(Lent),
}

/// The memory of an object that lies in one piece.
pub(crate) struct Lent(PyUntypedBuffer);

impl Lent {
    #[expect(unsafe_code, reason = "the memory of another object, read without the GIL")]
    fn as_slice(&self) -> &[u8] {
        if self.0.len_bytes() == 0 {
            return &[];
        }
        // SAFETY: the loan keeps this memory in its place, in one piece and of this length, until it
        // is dropped. Other threads of Python can write to it meanwhile, as they can while `hashlib`
        // or `zlib` read theirs: then the copy that is made has a mixture of bytes, all of them are
        // valid, and nothing is concluded from what was read before.
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast::<u8>(), self.0.len_bytes()) }
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Lent(lent) => lent.as_slice(),
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
        let Ok(view) = PyMemoryView::from(&object) else {
            let kind = object.get_type().name()?;
            let message = format!("keys and values are bytes or have a buffer of them, not {kind}");
            return Err(PyTypeError::new_err(message));
        };
        match PyUntypedBuffer::get(&object) {
            Ok(buffer) if buffer.is_c_contiguous() && buffer.len_bytes() >= LONG_COPY => {
                Ok(Self::Lent(Lent(buffer)))
            }
            // What is short is not worth a loan, and what lies in pieces only Python can gather. A
            // single number of numpy has no shape, of which there is no loan.
            Ok(_) | Err(_) => {
                let gathered = view.call_method0("tobytes")?;
                Ok(Self::Shared(gathered.cast_into::<PyBytes>()?.into()))
            }
        }
    }
}

/// The name of a lock or of a request: bytes, or text in UTF-8.
pub(crate) enum Name {
    Bytes(Octets),
    Text(String),
}

impl AsRef<[u8]> for Name {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(octets) => octets.as_ref(),
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Name {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(text) = object.cast::<PyString>() {
            return Ok(Self::Text(text.to_str()?.to_owned()));
        }
        object.extract().map(Self::Bytes)
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
