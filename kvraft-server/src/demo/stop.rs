//! `Stop` ends every wait of the demo at once.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::client::Failure;

/// The first pause between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Whether the demo was asked to stop. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Asks everyone to stop.
    pub fn set(&self) {
        let (stop, changed) = &*self.0;
        *stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether it is set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.pause(Duration::ZERO)
    }

    /// Waits until it is set.
    pub fn wait(&self) {
        while !self.pause(Duration::from_secs(3600)) {}
    }

    /// Waits for `time`, or until it is set; returns whether it is.
    pub fn pause(&self, time: Duration) -> bool {
        let (stop, changed) = &*self.0;
        let guard = stop.lock().unwrap_or_else(PoisonError::into_inner);
        let (guard, _) = changed
            .wait_timeout_while(guard, time, |stop| !*stop)
            .unwrap_or_else(PoisonError::into_inner);
        *guard
    }

    /// Attempts something again and again while it fails for now, with longer and longer pauses.
    ///
    /// # Errors
    /// The last failure, with `what` was attempted, if it is final or `patience` is over.
    pub fn retry<T>(
        &self,
        what: &str,
        patience: Duration,
        mut attempt: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T> {
        let begin = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match attempt() {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match failure {
                Failure::Final(why) => bail!("{what}: {why}"),
                Failure::ForNow(why) if begin.elapsed() > patience => {
                    bail!("{what}: gave up after {patience:?}: {why}")
                }
                Failure::ForNow(why) => {
                    if self.pause(pause) {
                        bail!("{what}: stopped; the last attempt failed: {why}");
                    }
                }
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_now_is_attempted_again() {
        let mut attempts = 0;
        let done = Stop::default().retry("x", Duration::from_secs(10), || {
            attempts += 1;
            if attempts < 3 { Err(Failure::ForNow("not yet".to_owned())) } else { Ok(attempts) }
        });
        assert_eq!(done.unwrap(), 3);
    }

    #[test]
    fn whoever_gives_up_says_on_what_and_why() {
        let fail = || Err::<(), _>(Failure::ForNow("no leader".to_owned()));
        let error = Stop::default().retry("put a", Duration::ZERO, fail).unwrap_err().to_string();
        assert!(error.contains("put a") && error.contains("no leader"), "{error}");
    }

    #[test]
    fn nobody_waits_once_it_is_set() {
        let stop = Stop::default();
        stop.set();
        stop.wait();
        let fail = || Err::<(), _>(Failure::ForNow("no leader".to_owned()));
        assert!(stop.retry("put a", Duration::from_secs(3600), fail).is_err());
    }
}
