//! `Lead` is what only a leader has: the cluster time that it stamps on commands.
//!
//! Cluster time counts led time only. A leader may stamp once everything of earlier leaders is
//! applied here, since only then it knows where their time ended.

use std::time::Instant;

use tokio::sync::watch;

use crate::command::Stamp;
use crate::environment::Clock;

/// From when and from what this leader counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Office {
    term: u64,
    base_ms: u64,
    since: Instant,
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

    /// Takes office in `term`: cluster time stood at `base_ms` at the instant `since`.
    pub(super) fn take(&self, term: u64, base_ms: u64, since: Instant) {
        self.office.send_replace(Some(Office { term, base_ms, since }));
    }

    pub(super) fn leave(&self) {
        self.office.send_if_modified(|office| office.take().is_some());
    }

    /// Returns the term in which this node may stamp.
    pub(super) fn term(&self) -> Option<u64> {
        self.office.borrow().map(|office| office.term)
    }

    /// Returns the stamp of a command that is proposed now, or `None` if this node may not stamp.
    pub(super) fn stamp(&self, clock: &dyn Clock) -> Option<Stamp> {
        let office = (*self.office.borrow())?;
        let led = clock.now().saturating_duration_since(office.since);
        let led_ms = u64::try_from(led.as_millis()).unwrap_or(u64::MAX);
        Some(Stamp { cluster_ms: office.base_ms.saturating_add(led_ms), wall_ms: clock.wall_ms() })
    }

    /// Returns a receiver that wakes when the office changes.
    pub(super) fn changes(&self) -> watch::Receiver<Option<impl Sized + use<>>> {
        self.office.subscribe()
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
