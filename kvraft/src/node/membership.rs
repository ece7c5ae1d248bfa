//! What the leader does to the membership: one change at a time, and none that costs the quorum.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;

use super::core::Core;
use super::roll::Roll;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::options::{AskedChange, MembershipChange};
use crate::raft::{Member, TypeConfig};

/// How long a change waits for another one.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// How often a leader looks for signs of life: heartbeats are not much closer.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

impl Core {
    /// Changes the membership as the leader.
    pub(super) async fn change_here(&self, asked: &AskedChange, deadline: Instant) -> Result<()> {
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
        self.change_of(asked, &self.roll(), deadline).await
    }

    async fn change_of(&self, asked: &AskedChange, roll: &Roll, deadline: Instant) -> Result<()> {
        match &asked.change {
            MembershipChange::Promote { name } => {
                self.promote(subject(roll, asked, name)?, deadline).await
            }
            MembershipChange::Demote { name } => {
                self.demote(subject(roll, asked, name)?, deadline).await
            }
            MembershipChange::Remove { name } => match subject(roll, asked, name) {
                Ok(id) => self.remove(id, deadline).await,
                // An earlier attempt has done it.
                Err(_) if asked.again => Ok(()),
                Err(error) => Err(error),
            },
            MembershipChange::Transfer { to } => {
                let heir = to.as_ref().map(|name| subject(roll, asked, name)).transpose()?;
                self.transfer(heir, deadline).await
            }
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

    async fn transfer(&self, heir: Option<u64>, deadline: Instant) -> Result<()> {
        let roll = self.roll();
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

/// Returns the node that a change is about, whoever else has its name by now.
fn subject(roll: &Roll, asked: &AskedChange, name: &str) -> Result<u64> {
    let id = asked.node_id.ok_or_else(|| Error::internal("a change of nobody was asked for"))?;
    if roll.members.contains_key(&id) {
        return Ok(id);
    }
    if asked.again {
        return Err(Error::refused(format!(
            "{name} was removed or replaced meanwhile: node {} is no member any more",
            HexId(id)
        )));
    }
    // Whoever asks finds out who has the name now.
    Err(Error::unavailable("the membership has changed meanwhile; retry"))
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
