//! What the leader does to the membership: one change at a time, and none that costs the quorum.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use openraft::{ChangeMembers, Instant as _, RaftMetrics};

use super::core::Core;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::options::MembershipChange;
use crate::raft::{LogId, Member, TypeConfig};

/// A learner this many entries behind has caught up: it takes them in far less than an election.
const CAUGHT_UP_ENTRIES: u64 = 1000;
/// How long a change waits for another one.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// How often a leader looks for signs of life: heartbeats are not much closer.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The membership as the leader sees it at one moment, with what it knows of each member.
pub(super) struct Roll {
    pub(super) log_id: Option<LogId>,
    pub(super) members: BTreeMap<u64, Member>,
    pub(super) voters: BTreeSet<u64>,
    /// Whether a change was begun and has to be ended.
    pub(super) is_joint: bool,
    /// Voters that are none any more once that is done.
    pub(super) leaving: BTreeSet<u64>,
    own: u64,
    last: u64,
    /// How long ago each other member was heard, and the log index that it has.
    heard: BTreeMap<u64, (Option<Duration>, Option<u64>)>,
}

impl Roll {
    fn of(metrics: &RaftMetrics<TypeConfig>) -> Self {
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
        self.matched(id).is_some() && self.behind(id) <= CAUGHT_UP_ENTRIES
    }

    fn name(&self, id: u64) -> &str {
        self.members.get(&id).map_or("", |member| &member.name)
    }

    /// Returns the member of that name, the voter first.
    fn find(&self, name: &str) -> Result<u64> {
        let mut found = self.members.iter().filter(|(_, member)| member.name == name);
        let ids: Vec<u64> = found.by_ref().map(|(id, _)| *id).collect();
        let voter = ids.iter().find(|id| self.voters.contains(id));
        voter.or_else(|| ids.first()).copied().ok_or_else(|| {
            let known: BTreeSet<_> = self.members.values().map(|m| m.name.as_str()).collect();
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            Error::refused(format!("no member is named {name:?}; the members are {known}"))
        })
    }

    /// Returns those of these voters that were not heard in the last `patience`.
    fn silent<'a>(&'a self, voters: &'a BTreeSet<u64>, patience: Duration) -> Vec<&'a str> {
        let heard = |id: u64| self.silence(id).is_some_and(|silence| silence <= patience);
        voters.iter().filter(|id| !heard(**id)).map(|id| self.name(*id)).collect()
    }
}

impl Core {
    pub(super) fn roll(&self) -> Roll {
        Roll::of(&self.raft_metrics())
    }

    /// Changes the membership as the leader; `again` if that may have been done already.
    pub(super) async fn change_here(
        &self,
        change: &MembershipChange,
        again: bool,
        deadline: Instant,
    ) -> Result<()> {
        self.life.check()?;
        if !self.leads() {
            return Err(Error::unavailable("this node does not lead any more; retry"));
        }
        // The leader's own steps are short; a change that somebody else asked for may take long.
        let patience = deadline.min(self.now() + TURN_PATIENCE);
        let turn = tokio::time::timeout_at(patience.into(), self.changing.lock()).await;
        let _turn = turn.map_err(|_| {
            Error::refused("another change of the membership is under way; retry when it is done")
        })?;
        // On top of a change that is not ended, whoever leaves in it would look like a voter.
        if !self.is_settled() {
            return Err(Error::unavailable("a change of the membership is being committed; retry"));
        }
        let roll = self.roll();
        if roll.is_joint {
            self.end_joint(&roll, deadline).await?;
        }
        match change {
            MembershipChange::Promote { name } => {
                self.promote(self.roll().find(name)?, deadline).await
            }
            MembershipChange::Demote { name } => {
                self.demote(self.roll().find(name)?, deadline).await
            }
            MembershipChange::Remove { name } => match self.roll().find(name) {
                Ok(id) => self.remove(id, deadline).await,
                // The first attempt has done it.
                Err(_) if again => Ok(()),
                Err(error) => Err(error),
            },
            MembershipChange::Transfer { to } => self.transfer(to.as_deref(), deadline).await,
            MembershipChange::Shrink { voters } => self.shrink(*voters, deadline).await,
        }
    }

    pub(super) async fn promote(&self, id: u64, deadline: Instant) -> Result<()> {
        let roll = self.roll();
        if roll.voters.contains(&id) {
            return Ok(());
        }
        self.check_heard(id).await?;
        if !roll.has_caught_up(id) {
            return Err(Error::refused(format!(
                "{} has not caught up: it is {} log entries behind; retry later",
                roll.name(id),
                roll.behind(id)
            )));
        }
        let voters = roll.voters.iter().copied().chain([id]).collect();
        self.check_quorum(&voters).await?;
        let record =
            roll.members.get(&id).map(|member| Member { promote: false, ..member.clone() });
        let nodes = record.map(|record| (id, record)).into_iter().collect();
        let changes = vec![ChangeMembers::SetNodes(nodes), ChangeMembers::AddVoterIds([id].into())];
        self.change(&roll, ChangeMembers::Batch(changes), true, deadline).await?;
        tracing::info!(name = roll.name(id), id = %HexId(id), "is a voter now");
        Ok(())
    }

    async fn demote(&self, id: u64, deadline: Instant) -> Result<()> {
        let roll = self.roll();
        if !roll.voters.contains(&id) {
            return Ok(());
        }
        self.leave_first(&roll, id, deadline).await?;
        self.check_quorum(&without(&roll.voters, id)?).await?;
        self.change(&roll, ChangeMembers::RemoveVoters([id].into()), true, deadline).await?;
        tracing::info!(name = roll.name(id), id = %HexId(id), "is a learner now");
        Ok(())
    }

    pub(super) async fn remove(&self, id: u64, deadline: Instant) -> Result<()> {
        let roll = self.roll();
        let change = if roll.voters.contains(&id) {
            self.leave_first(&roll, id, deadline).await?;
            self.check_quorum(&without(&roll.voters, id)?).await?;
            ChangeMembers::RemoveVoters([id].into())
        } else {
            ChangeMembers::RemoveNodes([id].into())
        };
        self.change(&roll, change, false, deadline).await?;
        tracing::info!(name = roll.name(id), id = %HexId(id), "is no member any more");
        Ok(())
    }

    async fn transfer(&self, to: Option<&str>, deadline: Instant) -> Result<()> {
        let roll = self.roll();
        let heir = to.map(|name| roll.find(name)).transpose()?;
        if heir == Some(roll.own) {
            return Ok(());
        }
        if let Some(learner) = heir.filter(|id| !roll.voters.contains(id)) {
            let name = roll.name(learner);
            return Err(Error::refused(format!("{name} is a learner; promote it first")));
        }
        if roll.voters.len() < 2 {
            return Err(Error::refused("there is no other voter to lead"));
        }
        self.transfer_to(heir, deadline).await
    }

    /// Lets the voters with the last names go, one safe step after the other.
    async fn shrink(&self, count: u32, deadline: Instant) -> Result<()> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count == 0 {
            return Err(Error::invalid("a cluster has at least one voter"));
        }
        loop {
            let roll = self.roll();
            let mut voters: Vec<_> = roll.voters.iter().map(|id| (roll.name(*id), *id)).collect();
            voters.sort_unstable();
            if voters.len() <= count {
                return Ok(());
            }
            let leaves = |id: u64| voters.iter().skip(count).any(|(_, leaver)| *leaver == id);
            if leaves(roll.own) {
                // Leadership goes to one that stays, so that it moves once.
                let stays = voters.iter().map(|(_, id)| *id).filter(|id| !leaves(*id));
                let heard =
                    |id: &u64| roll.silence(*id).is_some_and(|s| s <= self.heard_patience());
                let heir = stays.filter(heard).min_by_key(|id| roll.behind(*id));
                self.transfer_to(heir, deadline).await?;
                return Err(handed_over());
            }
            let Some((_, last)) = voters.last() else { return Ok(()) };
            self.remove(*last, deadline).await?;
        }
    }

    /// Hands leadership over first if it is the leader that goes; its successor is asked then.
    async fn leave_first(&self, roll: &Roll, id: u64, deadline: Instant) -> Result<()> {
        if id != roll.own {
            return Ok(());
        }
        without(&roll.voters, id)?;
        self.transfer_to(None, deadline).await?;
        Err(handed_over())
    }

    /// Changes the membership that `roll` shows, unless it has changed since.
    pub(super) async fn change(
        &self,
        roll: &Roll,
        change: ChangeMembers<u64, Member>,
        retain: bool,
        deadline: Instant,
    ) -> Result<()> {
        let seen = Precondition::LastMembershipLogId { last_membership_log_id: roll.log_id };
        let changing = self.raft.change_membership_if(change, retain, [seen]);
        match tokio::time::timeout_at(deadline.into(), changing).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(error))) => Err(refusal(error)),
            Ok(Err(RaftError::Fatal(fatal))) => {
                Err(Error::indeterminate("this node stopped meanwhile").with_source(fatal))
            }
            Err(_) => Err(Error::indeterminate(
                "the change was not acknowledged by a majority in time; it may go on",
            )),
        }
    }

    /// Fails unless a majority of these voters is heard from now on: who was heard a moment ago may
    /// be dead, and a change that its new voters cannot commit would stop the whole cluster.
    pub(super) async fn check_quorum(&self, voters: &BTreeSet<u64>) -> Result<()> {
        let lost = |roll: &Roll, waited| {
            let silent = roll.silent(voters, waited);
            let enough = silent.len() < voters.len().div_ceil(2);
            (!enough).then(|| silent.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let Some(silent) = self.still(lost).await else { return Ok(()) };
        Err(Error::refused(format!(
            "the change would lose the quorum: of its {} voters only {} are heard ({} are not); bring them back, or \
             remove them first",
            voters.len(),
            voters.len() - silent.len(),
            silent.join(", ")
        )))
    }

    /// Fails unless this member is heard from now on.
    async fn check_heard(&self, id: u64) -> Result<()> {
        let lost = |roll: &Roll, waited| {
            let heard = roll.silence(id).is_some_and(|silence| silence <= waited);
            (!heard).then(|| roll.name(id).to_owned())
        };
        let Some(name) = self.still(lost).await else { return Ok(()) };
        Err(Error::refused(format!(
            "{name} is not heard: a voter that is down costs the cluster a machine that it can lose; start it first"
        )))
    }

    /// Returns what is wrong with the membership if it is still so after everyone had the time to be
    /// heard; `wrong` is told how long that is by now.
    async fn still<T>(&self, wrong: impl Fn(&Roll, Duration) -> Option<T>) -> Option<T> {
        let (begun, patience) = (self.now(), self.heard_patience());
        loop {
            let waited = self.now().saturating_duration_since(begun);
            let found = wrong(&self.roll(), waited)?;
            if waited > patience {
                return Some(found);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Returns how long ago a member may have been heard to count as alive.
    pub(super) fn heard_patience(&self) -> Duration {
        self.election_timeout_max() * 2
    }
}

fn without(voters: &BTreeSet<u64>, id: u64) -> Result<BTreeSet<u64>> {
    let left: BTreeSet<u64> = voters.iter().copied().filter(|voter| *voter != id).collect();
    if left.is_empty() {
        return Err(Error::refused("it is the only voter; promote another one first"));
    }
    Ok(left)
}

fn handed_over() -> Error {
    Error::unavailable("leadership was handed over first; retry at the new leader")
}

fn refusal(error: ClientWriteError<TypeConfig>) -> Error {
    match error {
        ClientWriteError::ForwardToLeader(_) | ClientWriteError::PreconditionFailed(_) => {
            Error::unavailable("the membership or the leader has changed meanwhile; retry")
        }
        ClientWriteError::LogEntryDiscarded(_) => {
            Error::indeterminate("another leader replaced the log entry of the change")
        }
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
            Error::unavailable("another change of the membership is being committed; retry")
        }
        ClientWriteError::ChangeMembershipError(other) => {
            Error::refused("the membership cannot be changed so").with_source(other)
        }
    }
}

impl Core {
    /// Returns what raft says of the membership that is committed.
    pub(super) fn is_settled(&self) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.log_id() == metrics.committed_membership_config.log_id()
    }
}
