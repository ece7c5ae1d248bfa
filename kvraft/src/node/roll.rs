//! `Roll` is the membership as its leader sees it at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::{Instant as _, RaftMetrics};

use super::core::Core;
use crate::raft::{LogId, Member, TypeConfig};

/// A learner this many entries behind has caught up, if they are not more bytes than below: it takes
/// them in far less than an election.
const CAUGHT_UP_ENTRIES: u64 = 1000;
/// A thousand of the largest values would be gigabytes. About so much is on its way to a member that
/// keeps up with a heavy load, and so much of the log is in memory.
const CAUGHT_UP_BYTES: u64 = 64 << 20;

/// The membership as the leader sees it at one moment, with what it knows of each member.
pub(super) struct Roll {
    pub(super) log_id: Option<LogId>,
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) voters: BTreeSet<u64>,
    /// Whether a change was begun and has to be ended.
    pub(super) is_joint: bool,
    /// Voters that are none any more once that is done.
    pub(super) leaving: BTreeSet<u64>,
    pub(super) own: u64,
    last: u64,
    /// Whoever has all up to here is close behind, counted in bytes; 0 if the whole log is short.
    near: u64,
    /// How long ago each other member was heard, and the log index that it has.
    heard: BTreeMap<u64, (Option<Duration>, Option<u64>)>,
}

impl Roll {
    fn of(metrics: &RaftMetrics<TypeConfig>, near: u64) -> Self {
        let stored = &metrics.membership_config;
        let membership = stored.membership();
        let acked = metrics.heartbeat.as_ref();
        let matched = metrics.replication.as_ref();
        let heard = membership.nodes().map(|(id, _)| {
            let silence = acked.and_then(|acked| acked.get(id)?.as_ref()).map(|at| at.elapsed());
            let index = matched.and_then(|all| all.get(id)?.as_ref()).map(|id| id.index());
            (*id, (silence, index))
        });
        let configs = membership.get_joint_config();
        let leaving = match configs.as_slice() {
            [old, new] => old.difference(new).copied().collect(),
            _ => BTreeSet::new(),
        };
        Self {
            log_id: *stored.log_id(),
            members: membership.nodes().map(|(id, member)| (*id, member.clone())).collect(),
            voters: membership.voter_ids().collect(),
            is_joint: configs.len() > 1,
            leaving,
            own: metrics.id,
            last: metrics.last_log_index.unwrap_or_default(),
            // What is purged comes as a snapshot, of any size.
            near: near.max(metrics.purged.map_or(0, |id| id.index())),
            heard: heard.collect(),
        }
    }

    /// Returns how long ago a member was heard; `None` if never by this leader.
    pub(super) fn silence(&self, id: u64) -> Option<Duration> {
        if id == self.own {
            return Some(Duration::ZERO);
        }
        self.heard.get(&id).and_then(|(silence, _)| *silence)
    }

    /// Returns how many entries a member is behind: all, before it is known what it has.
    pub(super) fn behind(&self, id: u64) -> u64 {
        if id == self.own { 0 } else { self.last.saturating_sub(self.matched(id).unwrap_or(0)) }
    }

    /// Returns the index of the last entry that another member is known to have.
    fn matched(&self, id: u64) -> Option<u64> {
        self.heard.get(&id).and_then(|(_, index)| *index)
    }

    pub(super) fn has_caught_up(&self, id: u64) -> bool {
        let near = self.matched(id).is_some_and(|index| index >= self.near);
        near && self.behind(id) <= CAUGHT_UP_ENTRIES
    }

    pub(super) fn has_learners(&self) -> bool {
        self.members.keys().any(|id| !self.voters.contains(id))
    }

    pub(super) fn name(&self, id: u64) -> &str {
        self.members.get(&id).map_or("", |member| &member.name)
    }

    /// Returns those of these voters that were not heard in the last `patience`.
    pub(super) fn silent<'a>(
        &'a self,
        voters: &'a BTreeSet<u64>,
        patience: Duration,
    ) -> Vec<&'a str> {
        let heard = |id: u64| self.silence(id).is_some_and(|silence| silence <= patience);
        voters.iter().filter(|id| !heard(**id)).map(|id| self.name(*id)).collect()
    }
}

impl Core {
    pub(super) fn roll(&self) -> Roll {
        let near = self.log.index_keeping_bytes(CAUGHT_UP_BYTES).unwrap_or(0);
        Roll::of(&self.raft_metrics(), near)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::raft::{Membership, StoredMembership};

    /// A leader 1 with the learner 2, which has everything up to `matched` of 5000 entries.
    fn metrics(matched: Option<u64>, purged: u64) -> RaftMetrics<TypeConfig> {
        let id = |index| LogId::new_term_index(1, index);
        let nodes: BTreeMap<_, _> = [1, 2].map(|node| (node, Member::default())).into();
        let membership = Membership::new(vec![[1].into()], nodes).unwrap();
        let mut metrics = RaftMetrics::new_initial(1);
        metrics.membership_config = Arc::new(StoredMembership::new(Some(id(1)), membership));
        metrics.last_log_index = Some(5000);
        metrics.purged = Some(id(purged));
        metrics.replication = Some([(2, matched.map(id))].into());
        metrics
    }

    #[test]
    fn a_learner_has_caught_up_if_few_entries_and_few_bytes_are_left() {
        let has = |matched, near| Roll::of(&metrics(matched, 100), near).has_caught_up(2);
        assert!(!has(None, 0), "nobody knows what it has");
        assert!(!has(Some(3999), 0) && has(Some(4000), 0));
        // The last 64 MiB begin behind entry 4900: there are large values.
        assert!(!has(Some(4899), 4900) && has(Some(4900), 4900));
        // What comes as a snapshot may be of any size.
        assert!(!Roll::of(&metrics(Some(4500), 4600), 0).has_caught_up(2));
    }
}
