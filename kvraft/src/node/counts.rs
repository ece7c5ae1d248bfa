//! `Counts` is how often a node has done what only it knows of.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::{ProposalMetrics, ReadMetrics};

/// Numbers that only grow.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: Count,
    pub(super) overloaded: Count,
    pub(super) barriers: Count,
    pub(super) rounds: Count,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counts {
    pub(super) fn proposals(&self) -> ProposalMetrics {
        ProposalMetrics { accepted: self.accepted.get(), overloaded: self.overloaded.get() }
    }

    pub(super) fn reads(&self) -> ReadMetrics {
        ReadMetrics { barriers: self.barriers.get(), rounds: self.rounds.get() }
    }
}
