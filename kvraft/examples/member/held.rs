//! `Held` is what this process holds under names: leases, locks and watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Things under names, shared by the commands that run side by side.
pub(crate) struct Held<T>(Mutex<HashMap<String, Arc<T>>>);

impl<T> Held<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// Holds a thing in place of the one that had its name.
    pub(crate) fn hold(&self, name: &str, thing: T) {
        self.lock().insert(name.to_owned(), Arc::new(thing));
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<T>> {
        self.lock().get(name).cloned()
    }

    /// Lets a thing go; returns it unless another command uses it still.
    pub(crate) fn take(&self, name: &str) -> Option<T> {
        let taken = self.lock().remove(name);
        taken.and_then(Arc::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<T>>> {
        // A panic elsewhere leaves the list as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
