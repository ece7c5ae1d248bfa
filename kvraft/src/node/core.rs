//! `Core` is what the tasks of a node share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, RaftMetrics, ServerState};
use tokio::sync::Semaphore;

use super::arrival::Arrivals;
use super::contact::Contact;
use super::counts::Counts;
use super::intake::Intake;
use super::integrity::Integrity;
use super::lead::Lead;
use super::life::{Life, Stage};
use super::read::ByProof;
use super::rounds::Rounds;
use crate::command::Settings;
use crate::config::CheckedConfig;
use crate::error::{Error, Result};
use crate::proposal::{Leader, Session};
use crate::raft::TypeConfig;
use crate::storage::{LogStore, Registry, State, StateMachine, View};
use crate::transport::{Pace, Transport};

/// Commands that a leader has under way at most; more are refused as `Overloaded`.
pub(super) const MAX_PROPOSALS: u32 = 32_768;
/// A command counts as one for each of these bytes that it has, so that all of them together
/// take at most 256 MiB.
const PROPOSAL_BYTES: usize = 8 << 10;

/// Returns for how many commands one of that size counts.
pub(super) fn proposal_cost(bytes: usize) -> u32 {
    u32::try_from(1 + bytes / PROPOSAL_BYTES).unwrap_or(MAX_PROPOSALS).min(MAX_PROPOSALS)
}

/// Openraft over this node's own state.
pub(super) type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// The parts of a running node.
pub(super) struct Core {
    pub(super) config: CheckedConfig,
    pub(super) raft: Raft,
    pub(super) log: LogStore,
    pub(super) state: State,
    pub(super) registry: Registry,
    /// `None` for a single node without a socket.
    pub(super) transport: Option<Transport>,
    pub(super) session: Session,
    pub(super) lead: Lead,
    /// Questions to the own raft, while this node leads.
    pub(super) own_rounds: ByProof<Arc<Rounds>>,
    /// Questions to the leader, while another node leads.
    pub(super) leader_rounds: ByProof<Arc<Rounds>>,
    /// Taken by every command that this node proposes as leader.
    pub(super) proposals: Semaphore,
    /// Taken by every read that this node makes for a client.
    pub(super) client_reads: Semaphore,
    /// Taken by every count that it makes for one.
    pub(super) client_counts: Semaphore,
    /// Taken by every backup.
    pub(super) backups: Arc<Semaphore>,
    /// Taken by every copy of the state for another member.
    pub(super) refills: Arc<Semaphore>,
    pub(super) counts: Counts,
    pub(super) arrivals: Arrivals,
    /// Of the snapshots that this node sends.
    pub(super) pace: Arc<Pace>,
    /// Held while this node, as leader, changes the membership.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// The cluster that took this node in, until its log says so.
    pub(super) joining: Mutex<Option<u128>>,
    /// When a leader first refused to record this node.
    pub(super) refused_since: OnceLock<Instant>,
    pub(super) life: Arc<Life>,
    pub(super) integrity: Arc<Integrity>,
    pub(super) intake: Arc<Intake>,
    pub(super) contact: Contact,
    /// Until then this node neither votes nor campaigns, since before its start it may have
    /// confirmed a leader's lease.
    pub(super) held_until: Instant,
    /// What keeps this node from its cluster, in words; empty if it knows nothing.
    pub(super) obstacle: Mutex<Arc<str>>,
}

impl Core {
    pub(super) fn now(&self) -> Instant {
        self.config.environment.clock.now()
    }

    pub(super) fn view(&self) -> Arc<View> {
        self.state.view()
    }

    pub(super) fn node_id(&self) -> u64 {
        self.registry.identity().node_id
    }

    /// Returns the shared settings; before the cluster is founded, those it would be founded with.
    pub(super) fn settings(&self) -> Settings {
        self.view().settings().unwrap_or(self.config.settings)
    }

    /// Returns the longest silence of a leader before an election.
    pub(super) fn election_timeout_max(&self) -> Duration {
        Duration::from_millis(u64::from(self.settings().election_timeout_ms) * 2)
    }

    pub(super) fn leads(&self) -> bool {
        self.raft.server_metrics().borrow_watched().state == ServerState::Leader
    }

    /// Returns whether the leader that this node knows has shown lately that it leads: to this
    /// node, or to a majority if it is this node.
    pub(super) fn leader_is_confirmed(&self) -> bool {
        self.confirms_leader(&self.raft_metrics())
    }

    /// Returns what raft says of itself, as a copy: whoever held the watched value while asking for
    /// it again would wait for a writer that waits for him.
    pub(super) fn raft_metrics(&self) -> RaftMetrics<TypeConfig> {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(super) fn confirms_leader(&self, metrics: &RaftMetrics<TypeConfig>) -> bool {
        let patience = self.election_timeout_max() * 2;
        if metrics.state == ServerState::Leader {
            // The only voter hears of nobody, and needs nobody.
            let mut voters = metrics.membership_config.membership().voter_ids();
            if voters.all(|id| id == metrics.id) {
                return true;
            }
            return metrics.last_quorum_acked.is_some_and(|acked| acked.elapsed() <= patience);
        }
        metrics.current_leader.is_some() && self.contact.is_fresh(self.now(), patience)
    }

    pub(super) fn leader(&self) -> Leader {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        match metrics.current_leader {
            Some(id) if id == metrics.id => Leader::Here,
            Some(id) => match metrics.membership_config.membership().get_node(&id) {
                Some(member) => Leader::At(id, member.clone()),
                None => Leader::Unknown,
            },
            None => Leader::Unknown,
        }
    }

    /// Returns once another node leads, or nobody does, than when it was called.
    pub(super) async fn leader_changed(&self, from: &Leader) {
        let mut metrics = self.raft.server_metrics();
        while self.leader() == *from {
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    pub(super) fn no_leader(&self) -> Error {
        let initialised = self.view().applied().is_some() || self.raft_has_members();
        let obstacle = self.obstacle.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !initialised {
            return Error::unavailable(format!("no leader yet: {obstacle}"));
        }
        let known = if obstacle.is_empty() { String::new() } else { format!(" ({obstacle})") };
        Error::unavailable(format!(
            "no leader is known: fewer than a majority of the voters reach each other; retry, and check that they \
             run{known}"
        ))
    }

    /// Says in words what keeps this node from its cluster.
    pub(super) fn set_obstacle(&self, obstacle: impl Into<Arc<str>>) {
        *self.obstacle.lock().unwrap_or_else(PoisonError::into_inner) = obstacle.into();
    }

    pub(super) fn raft_has_members(&self) -> bool {
        // Raft tells of its membership a moment after it has started; the state has it at once, and
        // a node that was made of a backup has no claim to fall back on.
        if self.view().membership().membership().nodes().next().is_some() {
            return true;
        }
        let metrics = self.raft.server_metrics();
        metrics.borrow_watched().membership_config.membership().nodes().next().is_some()
    }

    pub(super) fn is_member(&self, node_id: u64) -> bool {
        let metrics = self.raft.server_metrics();
        metrics.borrow_watched().membership_config.membership().get_node(&node_id).is_some()
    }

    /// Returns the log index of a revision; 0 for one from before the cluster.
    pub(super) fn index_of(&self, revision: u64) -> u64 {
        let base = self.view().founding().map_or(0, |founding| founding.revision_base);
        revision.saturating_sub(base)
    }

    /// Waits until `index` is applied here.
    pub(super) async fn wait_applied(&self, index: u64, deadline: Instant) -> Result<()> {
        let mut applied = self.state.applied();
        let reached = async {
            // The sender lives in the state, which `self` holds.
            drop(applied.wait_for(|now| now.is_some_and(|now| now >= index)).await);
        };
        tokio::select! {
            waited = tokio::time::timeout_at(deadline.into(), reached) => waited.map_err(|_| {
                Error::unavailable(format!("this node has not applied log index {index} in time; retry, or ask another node"))
            }),
            why = self.life.ended() => Err(why),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        self.life.stage() >= Stage::Closing
    }
}
