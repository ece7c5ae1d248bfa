//! `Contact` remembers when a follower last heard of its leader.
//!
//! Raft knows who leads until it learns of another leader. A node that is cut off learns nothing,
//! and must not go on to say that all is well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The last sign of life of a leader.
#[derive(Debug)]
pub(super) struct Contact {
    start: Instant,
    /// Milliseconds after `start`, and one more: 0 means never.
    last: AtomicU64,
    /// The newest term in which somebody led.
    term: AtomicU64,
    /// How many such terms there were.
    leaders: AtomicU64,
}

impl Contact {
    pub(super) const fn new(start: Instant) -> Self {
        Self { start, last: AtomicU64::new(0), term: AtomicU64::new(0), leaders: AtomicU64::new(0) }
    }

    /// Notes that a leader has spoken.
    pub(super) fn note(&self, now: Instant) {
        let since = now.saturating_duration_since(self.start).as_millis();
        self.last.store(u64::try_from(since).unwrap_or(u64::MAX - 1) + 1, Ordering::Relaxed);
    }

    /// Notes that in this term somebody leads: this node, or another.
    pub(super) fn note_leader(&self, term: u64) {
        if self.term.fetch_max(term, Ordering::Relaxed) < term {
            self.leaders.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns how many leaders were seen, one for each term.
    pub(super) fn leaders(&self) -> u64 {
        self.leaders.load(Ordering::Relaxed)
    }

    /// Returns whether a leader has spoken within `patience`.
    pub(super) fn is_fresh(&self, now: Instant, patience: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let Some(since) = last.checked_sub(1) else { return false };
        let at = self.start + Duration::from_millis(since);
        now.saturating_duration_since(at) <= patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_fresh_for_as_long_as_one_is_patient() {
        let start = Instant::now();
        let contact = Contact::new(start);
        let patience = Duration::from_millis(100);
        assert!(!contact.is_fresh(start, patience), "nobody has spoken");
        contact.note(start);
        assert!(contact.is_fresh(start + patience, patience));
        assert!(!contact.is_fresh(start + patience * 2, patience));
    }

    #[test]
    fn each_term_with_a_leader_counts_once() {
        let contact = Contact::new(Instant::now());
        for term in [3, 3, 5, 4, 5] {
            contact.note_leader(term);
        }
        assert_eq!(contact.leaders(), 2);
    }
}
