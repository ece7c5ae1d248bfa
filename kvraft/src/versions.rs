//! `Versions` is what a release speaks to its peers and writes into the log.

use std::fmt;

/// The protocols of this release: which frames exist, and their bodies. RELEASING.md says how they
/// are raised; what each protocol added stands in `transport/kind.rs`.
pub(crate) const PROTOCOLS: Protocols = Protocols { oldest: 1, newest: 2 };
/// The newest format that this release can write and apply. Nobody proposes above the level in the
/// state.
pub(crate) const FORMAT_LEVEL: u16 = 1;

/// A range of protocols. Two peers use the highest one that both speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocols {
    /// The first one that is still spoken.
    pub oldest: u16,
    /// The last one that is known.
    pub newest: u16,
}

/// What one process speaks and writes: all that its release knows, unless a test makes it an older
/// or a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// What it offers to its peers.
    pub protocols: Protocols,
    /// The newest format that it takes part in.
    pub format_level: u16,
}

impl Default for Versions {
    fn default() -> Self {
        Self { protocols: PROTOCOLS, format_level: FORMAT_LEVEL }
    }
}

impl Protocols {
    /// Returns the protocol that two peers use, or `None` if they share none.
    pub(crate) fn common(self, other: Self) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

impl fmt::Display for Protocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            return write!(f, "kvraft protocol {}", self.newest);
        }
        write!(f, "kvraft protocols {} to {}", self.oldest, self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ranges_meet_at_the_highest_protocol_of_both() {
        let range = |oldest, newest| Protocols { oldest, newest };
        assert_eq!(range(1, 1).common(range(1, 2)), Some(1));
        assert_eq!(range(1, 3).common(range(2, 5)), Some(3));
        assert_eq!(range(1, 1).common(range(2, 2)), None);
        assert_eq!(range(4, 5).common(range(1, 3)), None);
        assert_eq!(range(2, 1).common(range(1, 2)), None, "an empty range shares nothing");
    }

    #[test]
    fn this_release_still_speaks_the_protocol_before_its_own() {
        let before = PROTOCOLS.newest - 1;
        assert_eq!(PROTOCOLS.common(Protocols { oldest: before, newest: before }), Some(before));
    }
}
