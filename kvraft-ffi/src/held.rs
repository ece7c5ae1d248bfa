//! `Held` is something of the core that only the process that made it can use.

use crate::error::kvraft_error;
use crate::fork;
use crate::status::kvraft_status;

/// A part of the core behind a handle. A forked child has none of the threads that it needs.
#[derive(Debug)]
pub(crate) struct Held<T> {
    /// There until it is dropped.
    value: Option<Box<T>>,
    generation: u32,
}

impl<T> Held<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(Box::new(value)), generation: fork::generation() }
    }

    pub(crate) fn get(&self) -> Result<&T, kvraft_error> {
        let own = self.value.as_deref().filter(|_| self.generation == fork::generation());
        own.ok_or_else(forked)
    }

    pub(crate) fn get_mut(&mut self) -> Result<&mut T, kvraft_error> {
        let generation = self.generation;
        let own = self.value.as_deref_mut().filter(|_| generation == fork::generation());
        own.ok_or_else(forked)
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        if self.generation != fork::generation()
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
