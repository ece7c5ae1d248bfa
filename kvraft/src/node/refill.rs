//! Refill: a node whose state is wrong fetches that of another member, and takes it for its own.
//!
//! The log and the votes of the node are sound, and stay. While its state is wrong the node
//! acknowledges entries, but learns of no commit, so that nothing is applied to that state. Then it
//! takes no entries for as long as the transfer lasts: raft wants a state that is ahead of what was
//! committed here, and not behind the log. It is installed like a snapshot that a leader sends: in one
//! step, which a crash leaves done or not begun. Until it is done the node serves no reads and leads
//! nobody, over any restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::candidacy::Standing;
use super::copy::{Copying, place};
use super::core::Core;
use super::door::blocking;
use super::integrity::Health;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::options::{MemberState, Verification};
use crate::proposal::{Census as _, Leader, compare, peer, sample};
use crate::raft::{LogId, Snapshot, SnapshotData, SnapshotMeta, StagedState, Vote};
use crate::storage::ViewCursor;
use crate::transport::{Answer, Peer, Query};

/// Members that one node fills at a time.
pub(super) const MAX_REFILLS: usize = 2;
/// How long one step of a refill may take: a handover, a commit, the beginning of a copy.
const STEP_PATIENCE: Duration = Duration::from_secs(10);
/// How long one chunk may take: 64 MiB at the lowest rate of snapshots is a minute, and several that
/// leave the source at a time wait for each other. One that is gone is noticed long before.
const CHUNK_PATIENCE: Duration = Duration::from_secs(600);
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
        if !self.others_now().await?.iter().any(|member| member.voter) {
            return Err(Error::refused(
                "there is no other voter to fetch the state from; restore a backup",
            ));
        }
        self.go_out_as_asked().await?;
        tokio::select! {
            back = tokio::time::timeout_at(deadline.into(), self.integrity.is_back()) => back.map_err(|_| {
                Error::unavailable("the state is not fetched yet; it goes on, and status shows when it is done")
            })?,
            why = self.life.ended() => return Err(why),
        }
        match self.integrity.trouble() {
            None => Ok(()),
            Some(why) => Err(Error::unavailable(why.to_string())),
        }
    }

    async fn go_out_as_asked(&self) -> Result<()> {
        let _turn = self.integrity.noting().await;
        // Whoever is out for a better reason stays so for that.
        if !self.integrity.is_out() {
            // Durable first: a restart goes on with it.
            self.registry.note_refill(Some(ASKED_FOR)).await?;
            self.integrity.note(Health::Out(ASKED_FOR.into()));
        }
        Ok(())
    }

    async fn refill_once(&self) -> Result<()> {
        let Some(why) = self.integrity.trouble() else { return Ok(()) };
        let mut voters = self.others_now().await?;
        voters.retain(|member| member.voter);
        if voters.is_empty() {
            // Everyone else was removed: what this node has is all that there is.
            return self.keep_own_state("no other voter is left").await;
        }
        self.registry.note_refill(Some(&why)).await?;
        // Nobody knows this state to be wrong. Of those who go out at the same time the last one
        // sees the others out, since each asks only when it is out itself.
        let are_out = self.standings(&voters).await.iter().all(|known| *known == Standing::Out);
        if are_out && *why == *ASKED_FOR {
            return self.keep_own_state("the states of all other voters are out of service").await;
        }
        let deadline = self.now() + STEP_PATIENCE;
        if self.leads() {
            self.transfer_to(None, deadline).await?;
        }
        // Nothing of what is committed from here on is applied to the wrong state, so that a state
        // with this entry is ahead of it.
        let revision = tokio::select! {
            sampled = sample(self, deadline) => sampled?,
            () = self.elected() => return Err(elected()),
        };
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
            return Err(elected());
        }
        check_term(&vote, meta.last_log_id)?;
        let wanted = meta.last_log_id;
        let is_installed = Arc::clone(&staged.installed);
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Incoming(staged) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        installed
            .map_err(|fatal| Error::unavailable("this node has stopped").with_source(fatal))?;
        // Raft passes over a state without a word when it has met a newer leader, or has committed
        // what is in it.
        if !is_installed.load(Ordering::Acquire) {
            return Err(Error::unavailable("raft has gone beyond the fetched state meanwhile"));
        }
        tracing::info!(applied = wanted.map(|id| id.index), "the state was fetched anew");
        self.return_to_service(Health::Sound).await
    }

    /// Gives up to fetch another state, and leaves an alarm.
    async fn keep_own_state(&self, why: &str) -> Result<()> {
        let why = format!("{why}, so that there is none to fetch: this node serves its own state");
        tracing::error!("{why}");
        self.return_to_service(Health::Suspect(why.into())).await
    }

    async fn return_to_service(&self, health: Health) -> Result<()> {
        let _turn = self.integrity.noting().await;
        self.registry.note_refill(None).await?;
        self.integrity.restore(health);
        Ok(())
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
        let vote = self.raft_metrics().vote;
        if !vote.committed {
            return Err(Error::unavailable("an election is under way; retry"));
        }
        // Raft tells of a new vote a moment after it has applied under it.
        check_term(&vote, view.applied())?;
        let first = Answer::Refill { vote, meta: view.snapshot_meta().into() };
        let copying = Copying::new(self, &Handle::current(), view, ViewCursor::new(), permit)
            .renewed_by_each_chunk();
        Ok((first, copying))
    }
}

fn elected() -> Error {
    Error::unavailable("this node was elected meanwhile")
}

/// Fails if a state has an entry of a later term than the vote that it comes with: raft takes that
/// for damage, and stops.
fn check_term(vote: &Vote, applied: Option<LogId>) -> Result<()> {
    if applied.is_some_and(|id| id.leader_id.term > vote.leader_id.term) {
        return Err(Error::unavailable("a leader has just been elected; retry"));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::node::Node;

    async fn open(dir: &std::path::Path) -> Arc<Node> {
        let node = Node::open(Config::new(dir).check().unwrap()).await.unwrap();
        node.wait_ready(node.now() + STEP_PATIENCE).await.unwrap();
        node
    }

    #[tokio::test]
    async fn an_only_voter_leads_whatever_was_noted_before_its_start() {
        let dir = tempfile::TempDir::new().unwrap();
        let node = open(dir.path()).await;
        node.core().unwrap().registry.note_refill(Some(ASKED_FOR)).await.unwrap();
        node.close().await.unwrap();
        drop(node);
        let node = open(dir.path()).await;
        let core = node.core().unwrap();
        assert!(core.leads() && core.registry.refill().is_none());
    }

    #[test]
    fn a_state_is_not_given_to_raft_under_a_vote_of_an_earlier_term() {
        let vote = Vote::new_committed(3, 7);
        let applied = |term| Some(LogId::new_term_index(term, 5));
        assert!(check_term(&vote, applied(3)).is_ok());
        assert!(check_term(&vote, None).is_ok());
        assert!(check_term(&vote, applied(4)).is_err());
    }
}
