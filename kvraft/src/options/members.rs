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

impl MembershipChange {
    /// Returns the name of the member that it is about, if it names one.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Promote { name } | Self::Demote { name } | Self::Remove { name } => Some(name),
            Self::Transfer { to } => to.as_deref(),
            Self::Shrink { .. } => None,
        }
    }
}

/// A change as the leader is asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedChange {
    pub(crate) change: MembershipChange,
    /// The node that had the name when the change was first asked for. Asked again after an answer
    /// was lost, it means that node still, and not another disk that has the name by now.
    pub(crate) node_id: Option<u64>,
    /// Whether it may have been done already.
    pub(crate) again: bool,
}
