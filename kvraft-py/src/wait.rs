//! `wait` holds a Python thread until the core has answered, and lets the other threads run.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::errors;

/// How long Ctrl-C waits at most: short for a person, and ten wake-ups a second cost nothing.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for `future` without the GIL.
///
/// A signal handler that raises, such as that of Ctrl-C, ends the wait and drops the future.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = kvraft::Result<T>> + Send,
) -> PyResult<T> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        let polled = py.detach(|| {
            catch_unwind(AssertUnwindSafe(|| poll_until_signals_are_due(future.as_mut(), &waker)))
        });
        match polled {
            Ok(Poll::Ready(answer)) => return answer.map_err(|error| errors::raised(py, &error)),
            Ok(Poll::Pending) => py.check_signals()?,
            Err(panic) => return Err(errors::panicked(py, said(panic.as_ref()))),
        }
    }
}

fn poll_until_signals_are_due<F: Future>(
    mut future: Pin<&mut F>,
    waker: &Waker,
) -> Poll<F::Output> {
    let due = Instant::now() + SIGNAL_INTERVAL;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return Poll::Ready(output);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Poll::Pending;
        }
        thread::park_timeout(left);
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
