//! `Held` is a lease or a lock in the hands of Python: until it is let go, or nobody has it any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, Shared};
use pyo3::prelude::*;

use crate::call::Call;
use crate::owned::Owned;

/// Keeps `T` until it is let go.
pub(crate) struct Held<T>(Mutex<Owned<Option<Grip<T>>>>);

struct Grip<T> {
    part: Arc<T>,
    /// Done once the part may have ended; all who wait for that share it.
    ended: Shared<BoxFuture<'static, ()>>,
    /// Ends that wait when the part is let go.
    let_go: AbortHandle,
}

impl<T> Held<T> {
    /// Takes a part of the core, and the wait for its end.
    pub(crate) fn new<F>(part: T, ended: impl FnOnce(Arc<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let part = Arc::new(part);
        let (let_go, registration) = AbortHandle::new_pair();
        let ended = Abortable::new(ended(Arc::clone(&part)), registration);
        let ended = ended.map(|_ended_or_let_go| ()).boxed().shared();
        Self(Mutex::new(Owned::new(Some(Grip { part, ended, let_go }))))
    }

    /// Asks the part something; `None` once it was let go.
    pub(crate) fn ask<R>(&self, py: Python<'_>, ask: impl FnOnce(&T) -> R) -> PyResult<Option<R>> {
        Ok(self.grip().get(py)?.as_ref().map(|grip| ask(&grip.part)))
    }

    /// Waits until the part may have ended, or is let go.
    pub(crate) fn ended(&self, py: Python<'_>) -> PyResult<Call> {
        let ended = self.grip().get(py)?.as_ref().map(|grip| grip.ended.clone());
        Ok(Call::done(async move {
            if let Some(ended) = ended {
                ended.await;
            }
            Ok(())
        }))
    }

    /// Gives the part back to who asks first.
    pub(crate) fn let_go(&self, py: Python<'_>) -> PyResult<Option<Arc<T>>> {
        let grip = self.grip().get_mut(py)?.take();
        Ok(grip.map(|grip| {
            grip.let_go.abort();
            grip.part
        }))
    }

    /// Only held with the GIL, so that no fork comes between.
    fn grip(&self) -> MutexGuard<'_, Owned<Option<Grip<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
