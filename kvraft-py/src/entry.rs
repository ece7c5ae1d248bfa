//! `Entry` is a key with its value and its history, as Python sees it.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A key with its value and the revisions of its life.
#[pyclass(frozen, module = "kvraft")]
pub(crate) struct Entry {
    #[pyo3(get)]
    key: Py<PyBytes>,
    #[pyo3(get)]
    value: Py<PyBytes>,
    #[pyo3(get)]
    revision: u64,
    #[pyo3(get)]
    created: u64,
}

impl Entry {
    pub(crate) fn new(py: Python<'_>, entry: &kvraft::Entry) -> Self {
        Self {
            key: PyBytes::new(py, &entry.key).unbind(),
            value: PyBytes::new(py, &entry.value).unbind(),
            revision: entry.revision,
            created: entry.created,
        }
    }
}

#[pymethods]
impl Entry {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (key, value) = (self.key.bind(py).repr()?, self.value.bind(py).repr()?);
        Ok(format!(
            "Entry(key={key}, value={value}, revision={}, created={})",
            self.revision, self.created
        ))
    }
}
