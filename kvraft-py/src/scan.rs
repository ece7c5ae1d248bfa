//! `Scan` walks over entries as they stood at one moment.

use std::sync::{Mutex, PoisonError};

use futures_util::stream::{Stream, StreamExt};
use pyo3::prelude::*;

use crate::entry::Entry;
use crate::owned::Owned;
use crate::wait::wait;

type Entries = Box<dyn Stream<Item = kvraft::Result<kvraft::Entry>> + Send + Unpin>;

/// An iterator over entries; one thread at a time may use it.
#[pyclass(module = "kvraft")]
pub(crate) struct Scan {
    /// Never locked: the mutex only makes the stream `Sync`, which Python asks of every object.
    entries: Mutex<Owned<Entries>>,
}

impl Scan {
    pub(crate) fn new(
        entries: impl Stream<Item = kvraft::Result<kvraft::Entry>> + Send + Unpin + 'static,
    ) -> Self {
        Self { entries: Mutex::new(Owned::new(Box::new(entries))) }
    }
}

#[pymethods]
impl Scan {
    const fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self, py: Python<'_>) -> PyResult<Option<Entry>> {
        let entries = self.entries.get_mut().unwrap_or_else(PoisonError::into_inner);
        let entries = entries.get_mut(py)?;
        let entry = wait(py, async { entries.next().await.transpose() })?;
        Ok(entry.map(|entry| Entry::new(py, &entry)))
    }
}
