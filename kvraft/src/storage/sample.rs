//! `Samples` are the hashes of the last moments that the members' states are compared at.

use std::collections::VecDeque;

/// Moments that are remembered: whoever compares asks within seconds.
const KEPT: usize = 16;

/// The hash of the whole state as of one revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) revision: u64,
    pub(crate) hash: u64,
}

/// The newest samples of this node. They are its own: no snapshot and no checkpoint has them, and
/// they stay true of the past when another state takes the place of this one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(VecDeque<Sample>);

impl Samples {
    /// Adds a sample; the oldest makes room for it.
    pub(super) fn add(&mut self, sample: Sample) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(sample);
    }

    pub(crate) fn newest(&self) -> Option<Sample> {
        self.0.back().copied()
    }

    /// Returns the hash as of that revision, if it is remembered.
    pub(crate) fn hash_at(&self, revision: u64) -> Option<u64> {
        self.0.iter().find(|sample| sample.revision == revision).map(|sample| sample.hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_samples_are_kept() {
        let mut samples = Samples::default();
        for revision in 1..=20 {
            samples.add(Sample { revision, hash: revision * 10 });
        }
        assert_eq!(samples.newest(), Some(Sample { revision: 20, hash: 200 }));
        assert_eq!(samples.hash_at(5), Some(50));
        assert_eq!(samples.hash_at(4), None);
    }
}
