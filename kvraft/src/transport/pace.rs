//! `Pace` is how fast snapshots leave this node, all of them together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::environment::Clock;

/// Gives each chunk the moment at which it may leave, and counts what has left.
///
/// It saves nothing up: a peer that was slow for a while is not sent a burst afterwards.
pub(crate) struct Pace {
    clock: Arc<dyn Clock>,
    bytes_per_second: u64,
    /// When all that has been given a moment will have left.
    free_at: Mutex<Instant>,
    sent: AtomicU64,
    broken_off: AtomicU64,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: u64, clock: Arc<dyn Clock>) -> Self {
        let free_at = Mutex::new(clock.now());
        let (sent, broken_off) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { clock, bytes_per_second, free_at, sent, broken_off }
    }

    /// Returns the bytes of chunks that were handed to connections.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how often a snapshot did not get through.
    pub(crate) fn broken_off(&self) -> u64 {
        self.broken_off.load(Ordering::Relaxed)
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_broken_off(&self) {
        self.broken_off.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes the next place in the line for so many bytes.
    pub(crate) fn take(&self, bytes: usize) -> Turn<'_> {
        let nanos = (bytes as u128 * 1_000_000_000) / u128::from(self.bytes_per_second.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let leaves = self.clock.now().max(*free_at);
        let takes = leaves.checked_add(takes).map_or(Duration::ZERO, |_| takes);
        *free_at = leaves + takes;
        Turn { pace: self, leaves, takes }
    }

    /// Has those that come later leave earlier, for what did not leave at all.
    fn give_back(&self, takes: Duration) {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = free_at.checked_sub(takes).unwrap_or(*free_at);
    }
}

/// The place of one chunk in the line. If it is dropped before it has come, as when the receiver
/// wants no more, others get its time.
#[must_use]
pub(crate) struct Turn<'a> {
    pace: &'a Pace,
    leaves: Instant,
    takes: Duration,
}

impl Turn<'_> {
    /// Returns how long it is from now until the chunk may leave.
    pub(crate) fn wait(&self) -> Duration {
        self.leaves.saturating_duration_since(self.pace.clock.now())
    }

    /// The chunk leaves.
    pub(crate) fn has_come(mut self) {
        self.takes = Duration::ZERO;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pace.give_back(self.takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock that a test moves.
    struct Hand {
        start: Instant,
        millis: AtomicU64,
    }

    impl Clock for Hand {
        fn now(&self) -> Instant {
            self.start + Duration::from_millis(self.millis.load(Ordering::Relaxed))
        }

        fn wall_ms(&self) -> u64 {
            0
        }
    }

    #[test]
    fn all_chunks_together_keep_to_the_rate_and_quiet_time_is_not_saved_up() {
        let clock = Arc::new(Hand { start: Instant::now(), millis: AtomicU64::new(0) });
        let pace = Pace::new(1000, clock.clone());
        let wait = |bytes| {
            let turn = pace.take(bytes);
            let wait = turn.wait().as_millis();
            turn.has_come();
            wait
        };
        assert_eq!([wait(500), wait(2000), wait(1)], [0, 500, 2500]);
        clock.millis.store(10_000, Ordering::Relaxed);
        assert_eq!([wait(500), wait(500)], [0, 500]);
    }

    #[test]
    fn what_does_not_leave_after_all_holds_nobody_up() {
        let clock = Arc::new(Hand { start: Instant::now(), millis: AtomicU64::new(0) });
        let pace = Pace::new(1000, clock);
        pace.take(500).has_come();
        for _ in 0..100 {
            assert_eq!(pace.take(60_000).wait().as_millis(), 500);
        }
        assert_eq!(pace.take(1).wait().as_millis(), 500);
    }
}
