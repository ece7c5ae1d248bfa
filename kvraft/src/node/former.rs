//! `Former` remembers which nodes were members and are none any more.
//!
//! A node asks for its place until it hears that it has one. Such a question may come late: behind the
//! removal of the node, which must not bring it back. A node id is never used again, so whoever was
//! let go stays gone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::async_runtime::watch::WatchReceiver;

use super::core::Core;
use crate::raft::{LogId, StoredMembership};

/// So many are remembered: a late question is seconds old, and no cluster changes that fast.
const MOST: usize = 1024;

/// The members, and who was one before.
#[derive(Debug, Default)]
pub(super) struct Former(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    at: Option<LogId>,
    members: BTreeSet<u64>,
    gone: VecDeque<u64>,
}

impl Former {
    /// Takes note of a membership that is committed; an older one than is known tells nothing.
    fn note(&self, committed: &StoredMembership) {
        let mut known = self.known();
        if *committed.log_id() <= known.at {
            return;
        }
        let members: BTreeSet<u64> = committed.membership().nodes().map(|(id, _)| *id).collect();
        let left: Vec<u64> = known.members.difference(&members).copied().collect();
        known.gone.extend(left);
        let over = known.gone.len().saturating_sub(MOST);
        known.gone.drain(..over);
        (known.at, known.members) = (*committed.log_id(), members);
    }

    fn has(&self, id: u64) -> bool {
        self.known().gone.contains(&id)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// Follows the membership until the node ends.
    pub(super) async fn remember_members(self: Arc<Self>) {
        let mut metrics = self.raft.server_metrics();
        loop {
            self.note_members();
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { return },
                _ = self.life.ended() => return,
            }
        }
    }

    /// Returns whether this node was a member that was let go.
    pub(super) fn was_let_go(&self, id: u64) -> bool {
        self.note_members();
        self.former.has(id)
    }

    fn note_members(&self) {
        let committed = {
            let metrics = self.raft.server_metrics();
            let metrics = metrics.borrow_watched();
            Arc::clone(&metrics.committed_membership_config)
        };
        self.former.note(&committed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::raft::Member;

    fn members(index: u64, ids: &[u64]) -> StoredMembership {
        let nodes: BTreeMap<_, _> = ids.iter().map(|id| (*id, Member::default())).collect();
        let voters: BTreeSet<_> = ids.iter().copied().collect();
        let membership = crate::raft::Membership::new(vec![voters], nodes).unwrap();
        StoredMembership::new(Some(LogId::new_term_index(1, index)), membership)
    }

    #[test]
    fn who_was_let_go_is_known_and_who_never_came_is_not() {
        let former = Former::default();
        former.note(&members(1, &[1, 2]));
        former.note(&members(2, &[1, 2, 3]));
        assert!(!former.has(3) && !former.has(4));
        former.note(&members(5, &[1, 2]));
        assert!(former.has(3) && !former.has(4));
        // What was true before is heard once more.
        former.note(&members(2, &[1, 2, 3]));
        former.note(&members(6, &[1, 2]));
        assert!(former.has(3));
    }

    #[test]
    fn of_many_that_went_the_last_are_known() {
        let former = Former::default();
        for id in 0..3000 {
            former.note(&members(id + 1, &[9999, id]));
        }
        assert!(!former.has(9) && former.has(2998) && !former.has(2999));
        assert_eq!(former.known().gone.len(), MOST);
    }
}
