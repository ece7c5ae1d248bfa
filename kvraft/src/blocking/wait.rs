//! `within` waits for something on this thread, but not for ever.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Returns what comes of `work`, or `None` if that takes longer than `timeout`; one that is too
/// long for the clock is for ever.
pub(super) fn within<T>(timeout: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let end = Instant::now().checked_add(timeout);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
        match end.map(|end| end.saturating_duration_since(Instant::now())) {
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn what_is_there_comes_at_once_and_what_never_comes_is_given_up() {
        assert_eq!(within(Duration::ZERO, ready(7)), Some(7));
        assert_eq!(within(Duration::ZERO, pending::<()>()), None);
        assert_eq!(within(Duration::from_millis(1), pending::<()>()), None);
    }

    #[test]
    fn what_comes_from_another_thread_wakes_the_one_that_waits() {
        for timeout in [Duration::MAX, Duration::from_secs(60)] {
            let (sender, receiver) = oneshot::channel();
            let sending = thread::spawn(move || sender.send(7));
            assert_eq!(within(timeout, receiver), Some(Ok(7)));
            sending.join().unwrap().unwrap();
        }
    }
}
