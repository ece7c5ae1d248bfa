//! What a node says of itself, gathered from raft, state and identity.

use std::collections::BTreeSet;

use openraft::{RaftMetrics, ServerState};

use super::core::Core;
use super::life::Stage;
use crate::error::Result;
use crate::identity::HexId;
use crate::metrics::{HeldMetrics, Metrics, WatchMetrics};
use crate::raft::TypeConfig;
use crate::status::{LinkStatus, MemberStatus, Role, Status};
use crate::storage::disk_bytes;
use crate::transport::{Link, Transport};

/// Returns how far a member has come, if this node leads and knows it.
fn matched(metrics: &RaftMetrics<TypeConfig>, id: u64) -> Option<u64> {
    if id == metrics.id {
        return metrics.replication.as_ref().and(metrics.last_log_index);
    }
    metrics.replication.as_ref()?.get(&id)?.as_ref().map(openraft::LogId::index)
}

fn link_status(link: &Link) -> LinkStatus {
    LinkStatus {
        round_trip_micros: u64::try_from(link.round_trip.as_micros()).unwrap_or(u64::MAX),
        packets_sent: link.packets_sent,
        packets_lost: link.packets_lost,
    }
}

impl Core {
    pub(super) fn status(&self) -> Status {
        // Before the metrics are borrowed: it borrows them too, and a second borrow behind a
        // waiting writer would wait for the first one, for ever.
        let ready = self.is_ready();
        let view = self.view();
        let metrics = self.raft_metrics();
        let confirmed = self.life.check().is_ok() && self.confirms_leader(&metrics);
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let links = self.transport.as_ref().map(Transport::links).unwrap_or_default();
        let mut members: Vec<_> = membership
            .nodes()
            .map(|(id, member)| MemberStatus {
                name: member.name.clone(),
                node_id: HexId(*id).to_string(),
                address: member.address.clone(),
                http: member.http.clone(),
                labels: member.labels.clone(),
                voter: voters.contains(id),
                matched: matched(&metrics, *id),
                link: links.iter().find(|link| link.node_id == *id).map(link_status),
            })
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let leader =
            metrics.current_leader.and_then(|id| membership.get_node(&id)).filter(|_| confirmed);
        // The registry learns it from the applied state, a moment later.
        let cluster_id = view.cluster_id().or_else(|| self.registry.cluster_id());
        Status {
            name: self.config.name.clone(),
            node_id: HexId(self.node_id()).to_string(),
            address: self.own_address(),
            cluster_id: cluster_id.map(|id| format!("{id:032x}")),
            leader: leader.map(|member| member.name.clone()),
            leader_http: leader.map(|member| member.http.clone()).filter(|url| !url.is_empty()),
            role: self.role(metrics.state, confirmed),
            term: metrics.current_term,
            first_log: metrics.purged.map_or(0, |id| id.index() + 1),
            last_log: metrics.last_log_index.unwrap_or_default(),
            committed: metrics.cluster_committed.map_or(0, |id| id.index()),
            applied: view.applied().map_or(0, |id| id.index()),
            revision: view.revision(),
            state_hash: HexId(view.state_hash()).to_string(),
            keys: view.len(),
            bytes: view.bytes(),
            members,
            ready,
            disk_full: self.log.under_pressure(),
            divergence: self.integrity.trouble().map(|why| why.to_string()),
            failure: self.life.failure().cloned(),
            format_level: view.settings().map_or(0, |settings| settings.format_level),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    pub(super) fn metrics(&self) -> Result<Metrics> {
        let (log, state) = (self.log.stats(), self.state.stats()?);
        Ok(Metrics {
            log_entries: log.entries,
            log_batches: log.batches,
            log_flushes: log.flush_time.count,
            log_flush_time: log.flush_time,
            checkpoints: state.checkpoint_time.count,
            checkpoint_time: state.checkpoint_time,
            buffer_bytes: state.buffer_bytes,
            state_bytes: state.disk_bytes,
            disk_bytes: disk_bytes(&self.config.data_dir)?,
            leader_changes: self.contact.leaders(),
            leases_expired: state.leases_expired,
            snapshot_bytes_sent: self.pace.sent(),
            snapshot_bytes_received: self.arrivals.received(),
            snapshots_broken_off: self.pace.broken_off(),
            held: self.held(),
            watches: WatchMetrics {
                watchers: state.history.watchers,
                history_revisions: state.history.revisions,
                history_bytes: state.history.bytes,
                oldest_revision: state.history.oldest,
                compacted: state.history.compacted,
            },
            proposals: self.counts.proposals(),
            reads: self.counts.reads(),
        })
    }

    fn held(&self) -> HeldMetrics {
        let view = self.view();
        let tables = view.table_counts();
        HeldMetrics {
            keys: view.len(),
            key_bytes: view.bytes(),
            sessions: tables.sessions,
            leases: tables.leases,
            locks_held: tables.locks_held,
            locks_waiting: tables.locks_waiting,
            request_ids: tables.requests,
            request_bytes: tables.request_bytes,
        }
    }

    /// Returns whether this node has recovered, serves, and knows its cluster and a leader.
    pub(super) fn is_ready(&self) -> bool {
        self.life.check().is_ok()
            && self.life.stage() == Stage::Serving
            && self.view().cluster_id().is_some()
            && self.leader_is_confirmed()
            && !self.integrity.is_out()
    }

    fn role(&self, state: ServerState, confirmed: bool) -> Role {
        if self.life.check().is_err() {
            return Role::Stopped;
        }
        match state {
            ServerState::Leader if confirmed => Role::Leader,
            ServerState::Follower => Role::Follower,
            ServerState::Leader | ServerState::Candidate => Role::Candidate,
            ServerState::Learner => Role::Learner,
            ServerState::Shutdown => Role::Stopped,
        }
    }
}
