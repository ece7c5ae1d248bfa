//! `Shared` is a lease or a lock that one thread gives back while others wait for its end.

use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

/// Something of the core, until it is given back.
#[derive(Debug)]
pub(crate) struct Shared<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    held: Option<Arc<T>>,
    waiting: Vec<Weak<Signal>>,
}

impl<T> Shared<T> {
    pub(crate) fn new(held: T) -> Self {
        Self { state: Mutex::new(State { held: Some(Arc::new(held)), waiting: Vec::new() }) }
    }

    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.state().held.clone()
    }

    /// Takes it out, unless it was already, and lets those go who wait for its end.
    pub(crate) fn take(&self) -> Option<Arc<T>> {
        let mut state = self.state();
        for signal in state.waiting.drain(..).filter_map(|signal| signal.upgrade()) {
            signal.give();
        }
        state.held.take()
    }

    /// Waits until it has ended or was taken out, but no longer; returns whether that is so.
    pub(crate) fn wait(&self, timeout: Duration, ended: impl AsyncFnOnce(&T)) -> bool {
        let end = Instant::now().checked_add(timeout);
        let signal = Arc::new(Signal::default());
        let Some(held) = self.join(&signal) else { return true };
        let waker = Waker::from(Arc::clone(&signal));
        let mut ended = pin!(ended(&held));
        loop {
            if ended.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
                || self.state().held.is_none()
            {
                return true;
            }
            if !signal.wait(end) {
                return false;
            }
        }
    }

    /// Has a signal given when it is taken out, and returns it, if it has not been.
    fn join(&self, signal: &Arc<Signal>) -> Option<Arc<T>> {
        let mut state = self.state();
        state.waiting.retain(|waiting| waiting.strong_count() > 0);
        state.waiting.push(Arc::downgrade(signal));
        state.held.clone()
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that it is worth looking again.
#[derive(Debug, Default)]
struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn give(&self) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    /// Waits until it is given, for ever without an `end`; returns whether it was. It counts once.
    fn wait(&self, end: Option<Instant>) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        while !*given {
            given = if let Some(end) = end {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                let waited = self.changed.wait_timeout(given, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            } else {
                self.changed.wait(given).unwrap_or_else(PoisonError::into_inner)
            };
        }
        std::mem::replace(&mut *given, false)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.give();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.give();
    }
}
