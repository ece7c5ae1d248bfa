//! `wait` holds a Python thread until the core has answered, and lets the other threads run.

use std::any::Any;
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::bell::Bell;
use crate::errors;

/// A signal ends the wait of the main thread at once. It may also come just before that wait
/// begins, or to another thread: then it is noticed after this time. Ten wake-ups a second cost
/// nothing.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(100);

thread_local! {
    /// The bell of this thread, and the process that it was made in.
    static BELL: RefCell<Option<(u32, Arc<Bell>)>> = const { RefCell::new(None) };
}

/// Waits for `future` without the GIL.
///
/// A signal handler that raises, such as that of Ctrl-C, ends the wait and drops the future.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = kvraft::Result<T>> + Send,
) -> PyResult<T> {
    let answer = wait_until(py, future, None)?;
    answer.ok_or_else(|| errors::panicked(py, "a wait without an end has ended"))
}

/// Waits for `future` as [`wait`], but for no longer than `timeout`: then there is no answer.
pub(crate) fn wait_within<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = kvraft::Result<T>> + Send,
    timeout: Duration,
) -> PyResult<Option<T>> {
    // A time that no clock can tell is for ever.
    wait_until(py, future, Instant::now().checked_add(timeout))
}

fn wait_until<T: Send>(
    py: Python<'_>,
    future: impl Future<Output = kvraft::Result<T>> + Send,
    until: Option<Instant>,
) -> PyResult<Option<T>> {
    let mut future = pin!(future);
    let bell = own_bell()?;
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        match poll_detached(py, || poll_or_wait(future.as_mut(), &bell, &waker, until))?? {
            Poll::Ready(answer) => {
                return answer.map(Some).map_err(|error| errors::raised(py, &error));
            }
            Poll::Pending => py.check_signals()?,
        }
        if until.is_some_and(|until| until <= Instant::now()) {
            return Ok(None);
        }
    }
}

/// Runs a step of the core without the GIL; a panic in it becomes an exception.
pub(crate) fn poll_detached<T: Send>(
    py: Python<'_>,
    step: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(step)))
        .map_err(|panic| errors::panicked(py, said(panic.as_ref())))
}

/// Polls until there is an answer, a signal or something else to look after.
fn poll_or_wait<F: Future>(
    mut future: Pin<&mut F>,
    bell: &Bell,
    waker: &Waker,
    until: Option<Instant>,
) -> io::Result<Poll<F::Output>> {
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
        return Ok(Poll::Ready(output));
    }
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    bell.wait(left.map_or(SIGNAL_INTERVAL, |left| left.min(SIGNAL_INTERVAL)))?;
    bell.hush();
    Ok(future.poll(&mut Context::from_waker(waker)))
}

/// Returns the bell of this thread. A forked child needs another than its parent.
fn own_bell() -> io::Result<Arc<Bell>> {
    let process = std::process::id();
    BELL.with_borrow_mut(|own| match own {
        Some((made_in, bell)) if *made_in == process => Ok(Arc::clone(bell)),
        _ => {
            let bell = Arc::new(Bell::new()?);
            *own = Some((process, Arc::clone(&bell)));
            Ok(bell)
        }
    })
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
