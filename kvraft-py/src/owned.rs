//! `Owned` is a part of the core that is of use only in the process that opened it.

use std::mem::ManuallyDrop;

use pyo3::prelude::*;

use crate::errors;

/// Holds `T`, whose threads a forked child does not have: there it is neither used nor dropped.
pub(crate) struct Owned<T> {
    /// `None` only while this is dropped.
    part: Option<T>,
    process: u32,
}

impl<T> Owned<T> {
    pub(crate) fn new(part: T) -> Self {
        Self { part: Some(part), process: std::process::id() }
    }

    pub(crate) fn is_forked(&self) -> bool {
        self.process != std::process::id()
    }

    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<&T> {
        self.part.as_ref().filter(|_| !self.is_forked()).ok_or_else(|| errors::forked(py))
    }

    pub(crate) fn get_mut(&mut self, py: Python<'_>) -> PyResult<&mut T> {
        let forked = self.is_forked();
        self.part.as_mut().filter(|_| !forked).ok_or_else(|| errors::forked(py))
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        let part = self.part.take();
        if self.is_forked() {
            // It would wait for threads, or for locks that they held when the fork came.
            let _leaked = ManuallyDrop::new(part);
        }
    }
}
