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

    /// Takes the next place in the line for so many bytes, and returns when they may leave.
    pub(crate) fn take(&self, bytes: usize) -> Instant {
        let nanos = (bytes as u128 * 1_000_000_000) / u128::from(self.bytes_per_second.max(1));
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        let leaves = self.clock.now().max(*free_at);
        *free_at = leaves.checked_add(takes).unwrap_or(leaves);
        leaves
    }

    /// Returns how long it is from now to that moment.
    pub(crate) fn until(&self, moment: Instant) -> Duration {
        moment.saturating_duration_since(self.clock.now())
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
        let at = |moment: Instant| (moment - clock.start).as_millis();
        assert_eq!([at(pace.take(500)), at(pace.take(2000)), at(pace.take(1))], [0, 500, 2500]);
        clock.millis.store(10_000, Ordering::Relaxed);
        assert_eq!([at(pace.take(500)), at(pace.take(500))], [10_000, 10_500]);
        assert_eq!(pace.until(clock.now() + Duration::from_secs(1)), Duration::from_secs(1));
        assert_eq!(pace.until(clock.start), Duration::ZERO);
    }
}
