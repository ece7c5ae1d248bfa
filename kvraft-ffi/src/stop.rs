//! `unless` waits for a call that gives up as soon as a file descriptor of its caller can be read.

use std::os::fd::BorrowedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rustix::event::PollFlags;

use crate::bell::{self, Bell};
use crate::error::kvraft_error;

/// Is done once the descriptor could be read. Whoever waits in `unless` asks again then.
#[derive(Debug)]
pub(crate) struct Stopped(Arc<AtomicBool>);

impl Future for Stopped {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Waits for what `begin` begins, and has it told when `stop` can be read or its other end is closed.
pub(crate) fn unless<T, Work>(
    stop: BorrowedFd<'_>,
    begin: impl FnOnce(Stopped) -> Work,
) -> Result<T, kvraft_error>
where
    Work: Future<Output = kvraft::Result<T>>,
{
    let [state] = bell::readable([stop], Some(Instant::now()))?;
    if state.contains(PollFlags::NVAL) {
        return Err(kvraft_error::invalid("stop is no open file descriptor"));
    }
    let (bell, stopped) = (Arc::new(Bell::new()?), Arc::new(AtomicBool::new(!state.is_empty())));
    let waker = Waker::from(Arc::clone(&bell));
    let mut work = pin!(begin(Stopped(Arc::clone(&stopped))));
    loop {
        // Before the look, so that what comes after it is heard.
        bell.silence();
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Ok(done?);
        }
        // From then on it is readable, and says nothing new.
        if stopped.load(Ordering::Relaxed) {
            bell.wait(None)?;
        } else {
            stopped.store(bell.wait_beside(stop)?, Ordering::Relaxed);
        }
    }
}
