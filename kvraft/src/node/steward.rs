//! Stewardship: what a leader sees to in the membership without being asked.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;

use super::core::Core;
use super::door::blocking;
use super::join::was_removed;
use super::roll::Roll;
use crate::command::Command;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::raft::{LogId, Member};
use crate::storage::mark_removed;

/// How often the membership is looked at, whatever happens: silence is nothing that wakes anyone.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often in a row a leader must not count this node before it takes itself for removed: an entry
/// that is not committed is so, or gone, by then.
const CERTAINTY: u32 = 4;
/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a member may take to say which format it knows.
const LEVEL_PATIENCE: Duration = Duration::from_secs(2);
/// A member that was silent for so long may be replaced by another disk of its name.
pub(super) const NAME_SILENCE: Duration = Duration::from_secs(10);

/// What makes a leader look at its membership at once. Each is a change, not a state: a step that
/// fails is not tried again before the interval is over.
#[derive(Debug, PartialEq, Eq)]
struct Signs {
    since: Option<Instant>,
    membership: Option<LogId>,
    is_settled: bool,
    /// Learners that have all that they need to vote.
    caught_up: BTreeSet<u64>,
}

impl Core {
    /// Sees to the membership while this node leads, until it ends.
    pub(super) async fn keep_membership(self: Arc<Self>) {
        let mut missed = 0;
        let mut seen = self.signs();
        while missed < CERTAINTY {
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.signs_other_than(&seen) => {}
                _ = self.life.ended() => return,
            }
            seen = self.signs();
            let seen_to = match self.lead.led_since() {
                Some(since) => self.see_to_members(since).await.map(|()| true),
                None => self.see_to_own_place().await,
            };
            match seen_to {
                Ok(true) => missed = 0,
                Ok(false) => missed += 1,
                Err(error) => tracing::debug!(%error, "the membership has to wait"),
            }
        }
        let dir = self.config.data_dir.clone();
        if let Err(error) = blocking(move || mark_removed(&dir)).await {
            tracing::warn!(%error, "this node cannot note that it was removed");
        }
        self.life.fail(was_removed(&self.config.name));
    }

    fn signs(&self) -> Signs {
        let Some(since) = self.lead.led_since() else {
            // Who does not lead has time: what it sees to passes by itself, or is no hurry.
            let caught_up = BTreeSet::new();
            return Signs { since: None, membership: None, is_settled: true, caught_up };
        };
        let roll = self.roll();
        let learners = roll.members.keys().filter(|id| !roll.voters.contains(id));
        Signs {
            since: Some(since),
            membership: roll.log_id,
            is_settled: self.is_settled(),
            caught_up: learners.copied().filter(|id| roll.has_caught_up(*id)).collect(),
        }
    }

    /// Returns once there are other signs than these; never, once raft has stopped.
    async fn signs_other_than(&self, seen: &Signs) {
        let (mut office, mut server) = (self.lead.changes(), self.raft.server_metrics());
        let mut metrics = self.raft.metrics();
        while self.signs() == *seen {
            // How far others are changes with every write; only a learner makes it worth a look.
            let has_learners = self.lead.led_since().is_some() && self.roll().has_learners();
            let goes_on = tokio::select! {
                changed = office.changed() => changed.is_ok(),
                changed = server.changed() => changed.is_ok(),
                changed = metrics.changed(), if has_learners => changed.is_ok(),
            };
            if !goes_on {
                return std::future::pending().await;
            }
        }
    }

    /// Takes one step: ends a change that a former leader began, puts a new disk in the place of an
    /// old one, promotes who has caught up.
    async fn see_to_members(&self, since: Instant) -> Result<()> {
        // Somebody changes the membership right now.
        let Ok(_turn) = self.changing.try_lock() else { return Ok(()) };
        let (roll, deadline) = (self.roll(), self.now() + PATIENCE);
        if !self.is_settled() {
            return Ok(());
        }
        if roll.is_joint {
            return self.end_joint(&roll, deadline).await;
        }
        if !roll.voters.contains(&roll.own) {
            return self.give_up_office(&roll, deadline).await;
        }
        if let Some(record) = self.new_record(roll.members.get(&self.node_id())) {
            let nodes = [(self.node_id(), record)].into();
            return self.change(&roll, ChangeMembers::SetNodes(nodes), true, deadline).await;
        }
        let learners = roll.members.keys().filter(|id| !roll.voters.contains(id));
        for id in learners {
            let old = namesake(&roll, *id);
            if !self.is_ready_to_vote(&roll, *id) {
                // What a replacement that its leader did not end has left behind.
                let replaced = old.is_some_and(|old| self.is_heard(&roll, old));
                if replaced && self.silence(&roll, *id, since) >= NAME_SILENCE {
                    let gone = ChangeMembers::RemoveNodes([*id].into());
                    return self.change(&roll, gone, false, deadline).await;
                }
                continue;
            }
            if let Some(old) = old {
                if self.silence(&roll, old, since) >= NAME_SILENCE {
                    return self.replace(&roll, old, *id, deadline).await;
                }
            } else if roll.members.get(id).is_some_and(|member| member.promote) {
                return self.promote(*id, deadline).await;
            }
        }
        self.raise_format(&roll).await
    }

    /// Lets the cluster write the newest format that all of its members know, learners too.
    ///
    /// Each is asked anew: who was heard a moment ago may be about to come back as an older release.
    /// Nobody joins meanwhile, since this is a step of the one who changes the membership.
    async fn raise_format(&self, roll: &Roll) -> Result<()> {
        let known = self.config.environment.versions.format_level;
        let current = self.settings().format_level;
        if known <= current || !roll.members.keys().all(|id| self.is_heard(roll, *id)) {
            return Ok(());
        }
        let others = roll.members.iter().filter(|(id, _)| **id != self.node_id());
        let levels = join_all(others.map(|(id, member)| self.level_of(*id, member))).await;
        let all: Option<u16> =
            levels.into_iter().try_fold(known, |least, level| Some(least.min(level?)));
        let Some(level) = all.filter(|level| *level > current) else { return Ok(()) };
        if self.propose_own(&Command::RaiseFormat { level }).await? {
            tracing::info!(
                from = current,
                to = level,
                "every member knows a newer format: the cluster writes it"
            );
        }
        Ok(())
    }

    /// Asks a member which format it knows; `None` if it does not say.
    async fn level_of(&self, id: u64, member: &Member) -> Option<u16> {
        let transport = self.transport.as_ref()?;
        let hello = transport.hello_of(&member.address, self.now() + LEVEL_PATIENCE).await;
        let hello = hello.inspect_err(|unmet| {
            tracing::debug!(name = member.name, ?unmet, "does not say which format it knows");
        });
        hello.ok().filter(|hello| hello.identity.node_id == id).map(|hello| hello.format_level)
    }

    /// Ends a change that was begun and whose leader did not end it.
    pub(super) async fn end_joint(&self, roll: &Roll, deadline: Instant) -> Result<()> {
        let nothing = ChangeMembers::AddVoterIds([].into());
        // A disk that was being replaced goes; whom somebody demotes or removes stays as a
        // learner, and who asked for that asks again.
        let retain = !roll.leaving.iter().any(|id| is_replaced(roll, *id));
        self.change(roll, nothing, retain, deadline).await
    }

    /// Leaves the office to a voter: this node has ended a change that took its own vote.
    async fn give_up_office(&self, roll: &Roll, deadline: Instant) -> Result<()> {
        tracing::info!("is no voter any more and leaves the office");
        let handed = self.transfer_to(None, deadline).await;
        let Err(error) = handed else { return Ok(()) };
        // The voters elect one of them once nobody leads.
        let vote = self.raft_metrics().vote;
        let stepped = self.raft.trigger().refresh_server_state(Some(vote), roll.log_id).await;
        stepped.map_err(|fatal| Error::unavailable("raft has stopped").with_source(fatal))?;
        Err(error.context("stepped down without handing leadership over"))
    }

    fn is_ready_to_vote(&self, roll: &Roll, id: u64) -> bool {
        self.is_heard(roll, id) && roll.has_caught_up(id)
    }

    fn is_heard(&self, roll: &Roll, id: u64) -> bool {
        roll.silence(id).is_some_and(|silence| silence <= self.heard_patience())
    }

    /// Puts a new disk in the place of an old one, in one joint change.
    async fn replace(&self, roll: &Roll, old: u64, new: u64, deadline: Instant) -> Result<()> {
        let change = if roll.voters.contains(&old) {
            let others = roll.voters.iter().copied().filter(|id| *id != old);
            self.check_quorum(&others.chain([new]).collect()).await?;
            // It votes from here on: what made it do so is done, and a demotion will hold.
            let record = roll.members.get(&new).map(|m| Member { promote: false, ..m.clone() });
            ChangeMembers::Batch(vec![
                ChangeMembers::SetNodes(record.map(|record| (new, record)).into_iter().collect()),
                ChangeMembers::AddVoterIds([new].into()),
                ChangeMembers::RemoveVoters([old].into()),
            ])
        } else {
            ChangeMembers::RemoveNodes([old].into())
        };
        self.change(roll, change, false, deadline).await?;
        let name = roll.members.get(&new).map_or("", |member| &member.name);
        tracing::info!(name, old = %HexId(old), new = %HexId(new), "a new disk took the place of the old one");
        Ok(())
    }

    /// Returns how long a member has been silent to this leader, which leads `since` then.
    pub(super) fn silence(&self, roll: &Roll, id: u64, since: Instant) -> Duration {
        roll.silence(id).unwrap_or_else(|| self.now().saturating_duration_since(since))
    }
}

/// Returns whether another voter has the name of this one and stays.
fn is_replaced(roll: &Roll, id: u64) -> bool {
    let name = roll.members.get(&id).map(|member| &member.name);
    let mut staying = roll.voters.iter().filter(|voter| !roll.leaving.contains(voter));
    staying.any(|voter| roll.members.get(voter).map(|member| &member.name) == name)
}

/// Returns the member that had the name of `id` before it.
pub(super) fn namesake(roll: &Roll, id: u64) -> Option<u64> {
    let name = &roll.members.get(&id)?.name;
    let mut others =
        roll.members.iter().filter(|(other, member)| **other != id && member.name == *name);
    // A voter is never replaced by a disk that is older than it: learners come later.
    others
        .find(|(other, _)| !roll.voters.contains(&id) || roll.voters.contains(other))
        .map(|(other, _)| *other)
}
