//! `MembershipChange` is what a user may ask of the membership.

/// One change; asking for it twice is asking once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MembershipChange {
    /// Gives a learner that has caught up a vote.
    Promote { name: String },
    /// Takes a voter its vote; it goes on to replicate.
    Demote { name: String },
    /// Lets a member go.
    Remove { name: String },
    /// Has another voter lead: this one, or the one that is closest.
    Transfer { to: Option<String> },
    /// Lets voters go, those whose names come last, until so many are left.
    Shrink { voters: u32 },
}
