//! Refill: a node whose state is wrong fetches that of another member, and takes it for its own.
//!
//! The log and the votes of the node are sound, and stay. While its state is wrong the node
//! acknowledges entries, but learns of no commit, so that nothing is applied to that state. Then it
//! takes no entries for as long as the transfer lasts: raft wants a state that is ahead of what was
//! committed here, and not behind the log. It is installed like a snapshot that a leader sends: in one
//! step, which a crash leaves done or not begun. Until it is done the node serves no reads and leads
//! nobody, over any restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::copy::{Copying, place};
use super::core::Core;
use super::door::blocking;
use super::integrity::Health;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::options::{MemberState, Verification};
use crate::proposal::{Census as _, Leader, compare, peer, sample};
use crate::raft::{Snapshot, SnapshotData, SnapshotMeta, StagedState, Vote};
use crate::storage::ViewCursor;
use crate::transport::{Answer, Peer, Query};

/// Members that one node fills at a time.
pub(super) const MAX_REFILLS: usize = 2;
/// How long one step of a refill may take: a handover, a commit, the beginning of a copy.
const STEP_PATIENCE: Duration = Duration::from_secs(10);
/// How long one chunk may take: 64 MiB at the lowest rate of snapshots. A source that is gone is
/// noticed long before.
const CHUNK_PATIENCE: Duration = Duration::from_secs(120);
const ASKED_FOR: &str = "somebody asked for it";
/// The pause before a refill that failed is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// A state that came from another member, and whose term it is of.
struct Fetched {
    vote: Vote,
    meta: SnapshotMeta,
    staged: StagedState,
}

impl Core {
    /// Fetches the state anew whenever it is out of service, until the node ends.
    pub(super) async fn refill_when_out(self: Arc<Self>) {
        loop {
            tokio::select! {
                _ = self.integrity.went_out() => {}
                _ = self.life.ended() => return,
            }
            let refilled = tokio::select! {
                refilled = self.refill_once() => refilled,
                _ = self.life.ended() => return,
            };
            if let Err(error) = refilled {
                tracing::warn!(%error, "the state could not be fetched yet");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    _ = self.life.ended() => return,
                }
            }
        }
    }

    /// Has this node's state fetched anew because somebody wants it, and waits until it is.
    pub(super) async fn refill(&self, deadline: Instant) -> Result<()> {
        self.life.check()?;
        if self.others_with_state().is_empty() {
            return Err(Error::refused(
                "this node is the only member: there is none to fetch the state from; restore a backup",
            ));
        }
        // Durable first: a restart goes on with it.
        self.registry.note_refill(Some(ASKED_FOR)).await?;
        self.integrity.note(Health::Out(ASKED_FOR.into()));
        tokio::select! {
            back = tokio::time::timeout_at(deadline.into(), self.integrity.is_back()) => back.map_err(|_| {
                Error::unavailable("the state is not fetched yet; it goes on, and status shows when it is done")
            }),
            why = self.life.ended() => Err(why),
        }
    }

    async fn refill_once(&self) -> Result<()> {
        if self.others_with_state().is_empty() {
            // Everyone else was removed: what this node has is all that there is.
            tracing::error!("no member is left to fetch the state from: this node serves its own");
            return self.return_to_service().await;
        }
        self.registry.note_refill(self.integrity.trouble().as_deref()).await?;
        self.settle_candidacy();
        let deadline = self.now() + STEP_PATIENCE;
        if self.leads() {
            self.transfer_to(None, deadline).await?;
        }
        // Nothing of what is committed from here on is applied to the wrong state, so that a state
        // with this entry is ahead of it.
        let revision = sample(self, deadline).await?;
        let states = compare(self, revision).await;
        let sources = sources(&states)?;
        // Raft takes no state that is behind its log: from here on that stands still.
        let _held = self.intake.hold(self.now() + STEP_PATIENCE).await?;
        let revision = revision.max(self.log_revision().await?);
        let fetched = self.fetch_from_any(&sources, revision).await?;
        self.take_over(fetched).await
    }

    /// Returns the revision of the last entry in the own log, with all that raft was given.
    async fn log_revision(&self) -> Result<u64> {
        // Answered behind every append that came before.
        let passed = self.raft.with_raft_state(|_| ()).await;
        passed.map_err(|fatal| Error::unavailable("this node has stopped").with_source(fatal))?;
        let base = self.view().founding().map_or(0, |founding| founding.revision_base);
        Ok(base.saturating_add(self.log.last().map_or(0, |id| id.index)))
    }

    /// Puts the fetched state in the place of the own one.
    async fn take_over(&self, fetched: Fetched) -> Result<()> {
        let Fetched { vote, meta, staged } = fetched;
        if vote.leader_id.voted_for == self.node_id() {
            return Err(Error::unavailable("this node was elected meanwhile"));
        }
        let wanted = meta.last_log_id;
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Incoming(staged) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        installed
            .map_err(|fatal| Error::unavailable("this node has stopped").with_source(fatal))?;
        // Raft passes over a state when it has met a newer leader.
        if self.view().applied() < wanted {
            return Err(Error::unavailable("another leader was elected meanwhile"));
        }
        tracing::info!(applied = wanted.map(|id| id.index), "the state was fetched anew");
        self.return_to_service().await
    }

    async fn return_to_service(&self) -> Result<()> {
        self.registry.note_refill(None).await?;
        self.integrity.restore();
        self.settle_candidacy();
        Ok(())
    }

    /// Lets this node campaign, unless its state is wrong or it has just started.
    pub(super) fn settle_candidacy(&self) {
        let may = !self.integrity.is_out() && self.now() >= self.held_until;
        self.raft.runtime_config().elect(may);
    }

    fn others_with_state(&self) -> Vec<u64> {
        let own = self.node_id();
        self.members().into_iter().map(|member| member.node_id).filter(|id| *id != own).collect()
    }

    /// Fetches the state of one of these members, the leader last: it has most to do.
    async fn fetch_from_any(&self, sources: &[&MemberState], revision: u64) -> Result<Fetched> {
        let leader = match self.leader() {
            Leader::At(id, _) => Some(id),
            Leader::Here | Leader::Unknown => None,
        };
        let is_source =
            |id: u64| sources.iter().any(|known| known.node_id == HexId(id).to_string());
        let mut members = self.members();
        members.retain(|member| member.node_id != self.node_id() && is_source(member.node_id));
        members.sort_by_key(|member| Some(member.node_id) == leader);
        let mut last = Error::unavailable("no other member has a state to fetch");
        for member in members {
            match self.fetch(&peer(member.node_id, &member.member), revision).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => last = error.context(format_args!("{}", member.member.name)),
            }
        }
        Err(last)
    }

    async fn fetch(&self, from: &Peer, revision: u64) -> Result<Fetched> {
        let transport = self.transport.as_ref().ok_or_else(|| {
            Error::internal("there are other members, and this one has no socket")
        })?;
        let begun =
            transport.exchange(from, Query::Refill { revision }, self.now() + STEP_PATIENCE);
        let (mut exchange, Answer::Refill { vote, meta }) = begun.await? else {
            return Err(Error::internal(format!("{from} answered something else")));
        };
        tracing::info!(%from, %meta, "fetches the state");
        let mut sink = self.state.snapshot_sink((*meta).clone())?;
        loop {
            let part = tokio::time::timeout(CHUNK_PATIENCE, exchange.next()).await;
            let part = part.map_err(|_| Error::unavailable("the member does not go on"))??;
            let Answer::Chunk(chunk) = part else {
                return Err(Error::internal(format!("{from} answered something else")));
            };
            if chunk.is_empty() {
                break;
            }
            sink = blocking(move || sink.write(&chunk).map(|()| sink)).await?;
        }
        let staged = blocking(move || sink.finish()).await?;
        Ok(Fetched { vote, meta: *meta, staged })
    }

    /// Begins to give the state of this node to another member: one of that revision, or newer.
    pub(super) async fn begin_refill(
        self: &Arc<Self>,
        revision: u64,
    ) -> Result<(Answer, Copying<ViewCursor>)> {
        self.integrity.check()?;
        let permit = place(&self.refills, &format!("{MAX_REFILLS} refills"))?;
        self.wait_applied(self.index_of(revision), self.now() + STEP_PATIENCE).await?;
        let view = self.view();
        // Read after the view: no entry in it is of a later term.
        let vote = self.raft_metrics().vote;
        if !vote.committed {
            return Err(Error::unavailable("an election is under way; retry"));
        }
        let first = Answer::Refill { vote, meta: view.snapshot_meta().into() };
        let copying = Copying::new(self, &Handle::current(), view, ViewCursor::new(), permit);
        Ok((first, copying))
    }
}

/// Returns the members whose state is to be taken: those of the majority, or all that answered if
/// they agree.
fn sources(states: &Verification) -> Result<Vec<&MemberState>> {
    let mut answered = states.members.iter().filter(|member| member.state_hash.is_some());
    let first = answered.clone().next().and_then(|member| member.state_hash.as_deref());
    let right = match states.majority() {
        Some(right) => Some(right),
        None if answered.all(|member| member.state_hash.as_deref() == first) => first,
        None => {
            return Err(Error::unavailable(
                "the states of the other members differ, and none has a majority: refill or remove those that are \
                 wrong first",
            ));
        }
    };
    let right = right.ok_or_else(|| Error::unavailable("no other member answers"))?;
    let has_it = |member: &&MemberState| member.state_hash.as_deref() == Some(right);
    Ok(states.members.iter().filter(has_it).collect())
}
