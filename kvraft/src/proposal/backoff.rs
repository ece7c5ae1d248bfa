//! `Backoff` spaces out attempts: quick at first, never a storm.

use std::time::{Duration, Instant};

/// The first pause: about one round trip, since most refusals are a leader that has just changed.
const FIRST: Duration = Duration::from_millis(5);
/// The longest pause: a tenth of a second keeps the time to recover small against an election.
const LONGEST: Duration = Duration::from_millis(100);

/// Doubling pauses.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST, longest: LONGEST }
    }

    /// Makes a backoff for work in the background, where a second more does not matter.
    pub(crate) const fn slow() -> Self {
        Self { next: Duration::from_millis(50), longest: Duration::from_secs(1) }
    }

    /// Waits, at most until `deadline`; returns whether there is time left.
    pub(crate) async fn pause(&mut self, deadline: Instant, now: Instant) -> bool {
        let left = deadline.saturating_duration_since(now);
        let pause = self.next.min(left);
        self.next = (self.next * 2).min(self.longest);
        tokio::time::sleep(pause).await;
        pause < left
    }
}
