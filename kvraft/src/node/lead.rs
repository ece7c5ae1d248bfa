//! `Lead` is what only a leader has: the cluster time that it stamps on commands.
//!
//! Cluster time counts led time only. A leader may stamp once everything of earlier leaders is
//! applied here, since only then it knows where their time ended. It counts in steps, so that a
//! process that was stopped for an hour has led for one step longer, not for an hour: a pause may
//! lengthen what has a time to live, never shorten it.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::command::Stamp;
use crate::environment::Clock;

/// The longest step that counts whole: a leader that is alive stamps or ticks far more often.
const LONGEST_STEP: Duration = Duration::from_millis(500);

/// How far this leader has counted, and when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Office {
    term: u64,
    /// When the office was taken.
    since: Instant,
    led: Duration,
    at: Instant,
}

/// The office of a leader; empty on every other node.
#[derive(Debug)]
pub(super) struct Lead {
    office: watch::Sender<Option<Office>>,
}

impl Lead {
    pub(super) fn new() -> Self {
        Self { office: watch::Sender::new(None) }
    }

    /// Takes office in `term`: cluster time stood at `base_ms` at the instant `at`.
    pub(super) fn take(&self, term: u64, base_ms: u64, at: Instant) {
        let led = Duration::from_millis(base_ms);
        self.office.send_replace(Some(Office { term, since: at, led, at }));
    }

    pub(super) fn leave(&self) {
        self.office.send_if_modified(|office| office.take().is_some());
    }

    /// Returns the term in which this node may stamp.
    pub(super) fn term(&self) -> Option<u64> {
        self.office.borrow().map(|office| office.term)
    }

    /// Returns since when this node may stamp.
    pub(super) fn led_since(&self) -> Option<Instant> {
        self.office.borrow().map(|office| office.since)
    }

    /// Returns the stamp of a command that is proposed now, or `None` if this node may not stamp.
    pub(super) fn stamp(&self, clock: &dyn Clock) -> Option<Stamp> {
        let now = clock.now();
        let mut cluster_ms = None;
        // Whoever waits for a change of office is not woken: the office stays.
        self.office.send_if_modified(|office| {
            cluster_ms = office.as_mut().map(|office| office.count(now));
            false
        });
        Some(Stamp { cluster_ms: cluster_ms?, wall_ms: clock.wall_ms() })
    }

    /// Returns a receiver that wakes when the office changes.
    pub(super) fn changes(&self) -> watch::Receiver<Option<impl Sized + use<>>> {
        self.office.subscribe()
    }
}

impl Office {
    /// Counts up to `now`, and returns the cluster time in milliseconds.
    fn count(&mut self, now: Instant) -> u64 {
        self.led += now.saturating_duration_since(self.at).min(LONGEST_STEP);
        self.at = self.at.max(now);
        u64::try_from(self.led.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    struct Stepped(Mutex<Instant>);

    impl Clock for Stepped {
        fn now(&self) -> Instant {
            *self.0.lock().unwrap()
        }

        fn wall_ms(&self) -> u64 {
            5
        }
    }

    #[test]
    fn a_leader_that_was_stopped_has_not_led_meanwhile() {
        let start = Instant::now();
        let (lead, clock) = (Lead::new(), Stepped(Mutex::new(start)));
        lead.take(2, 0, start);
        let step = |by: u64| *clock.0.lock().unwrap() += Duration::from_millis(by);
        let now_ms = || lead.stamp(&clock).unwrap().cluster_ms;
        for _ in 0..10 {
            step(100);
            now_ms();
        }
        assert_eq!(now_ms(), 1000);
        step(3_600_000);
        assert_eq!(now_ms(), 1500);
        step(100);
        assert_eq!(now_ms(), 1600);
    }

    #[test]
    fn cluster_time_goes_on_from_the_last_leader_by_led_time_only() {
        let start = Instant::now();
        let (lead, clock) = (Lead::new(), Stepped(Mutex::new(start)));
        assert_eq!(lead.stamp(&clock), None);
        lead.take(2, 1000, start);
        *clock.0.lock().unwrap() = start + Duration::from_millis(30);
        assert_eq!(lead.stamp(&clock), Some(Stamp { cluster_ms: 1030, wall_ms: 5 }));
        lead.leave();
        assert_eq!(lead.stamp(&clock), None);
    }
}
