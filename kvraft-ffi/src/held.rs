//! `Held` is something of the core that only the process that made it can use.

use std::process;

use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// A part of the core behind a handle. A forked child has none of the threads that it needs.
#[derive(Debug)]
pub(crate) struct Held<T> {
    /// There until it is dropped.
    value: Option<Box<T>>,
    made_by: u32,
}

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(Box::new(value)), made_by: process::id() }
    }

    pub(crate) fn get(&self) -> Result<&T, kvraft_error> {
        let own = self.value.as_deref().filter(|_| self.made_by == process::id());
        own.ok_or_else(forked)
    }

    pub(crate) fn get_mut(&mut self) -> Result<&mut T, kvraft_error> {
        let made_by = self.made_by;
        let own = self.value.as_deref_mut().filter(|_| made_by == process::id());
        own.ok_or_else(forked)
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.made_by != process::id()
            && let Some(value) = self.value.take()
        {
            // Ending it would wait for threads that this process does not have, and close what the
            // parent still uses.
            Box::leak(value);
        }
    }
}

fn forked() -> kvraft_error {
    kvraft_error::new(
        kvraft_status::KVRAFT_CLOSED,
        "this process was forked after the map was opened, and a fork takes no threads along; open \
         a map of its own here, in another data directory, or fork before opening",
    )
}
