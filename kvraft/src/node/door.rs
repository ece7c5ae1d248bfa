//! `Door` answers what other nodes ask of this one.
//!
//! It holds the node weakly: a transport that still has connections keeps no closed node alive.

use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;

use super::core::Core;
use super::read::Proof;
use crate::command::{Command, Origin};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{HexId, Identity};
use crate::proposal::{Attempt, Leader};
use crate::raft::{AppendRequest, AppendResponse, Member, SnapshotResponse, StreamAppendResult};
use crate::storage::Registry;
use crate::transport::{
    Answer, Failure, FailureReason, Greeter, Handler, Hello, HelloRole, Incoming, PeerMember,
    Peers, Query, Reason, Request, Response, Unmet,
};
use crate::versions::Versions;

/// The longest that a forwarded command may wait here, whatever its sender says.
pub(super) const MAX_FORWARD_WAIT: Duration = Duration::from_secs(600);

/// The accepting side of a node.
pub(super) struct Door {
    registry: Registry,
    versions: Versions,
    /// What the membership is to record of this node.
    record: OnceLock<Member>,
    core: OnceLock<Weak<Core>>,
}

impl Door {
    pub(super) const fn new(registry: Registry, versions: Versions) -> Self {
        Self { registry, versions, record: OnceLock::new(), core: OnceLock::new() }
    }

    /// Says what to tell others of this node. Known once the socket is bound.
    pub(super) fn introduce(&self, record: Member) {
        // A second call would say the same.
        drop(self.record.set(record));
    }

    /// Lets requests in.
    pub(super) fn open(&self, core: &Arc<Core>) {
        // A second call would say the same.
        drop(self.core.set(Arc::downgrade(core)));
    }

    fn core(&self) -> Result<Arc<Core>> {
        let core = self.core.get().and_then(Weak::upgrade);
        core.ok_or_else(|| Error::unavailable("the node is starting or has stopped; retry"))
    }
}

impl Greeter for Door {
    fn hello(&self) -> Hello {
        let core = self.core().ok();
        // The registry learns it from the applied state, a moment later.
        let applied = core.as_ref().and_then(|core| core.view().cluster_id());
        Hello {
            protocols: self.versions.protocols,
            role: HelloRole::Member,
            cluster_id: applied.or_else(|| self.registry.cluster_id()),
            identity: self.registry.identity().clone(),
            record: self.record.get().cloned().unwrap_or_default(),
            initialised: core.is_some_and(|core| core.raft_has_members()),
            format_level: self.versions.format_level,
        }
    }

    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<(), Unmet>> {
        async move {
            if let (Some(own), Some(theirs)) = (self.registry.cluster_id(), peer.cluster_id)
                && own != theirs
            {
                let error = Error::refused(format!(
                    "node {} ({}) belongs to cluster {theirs:032x}, this node to {own:032x}; one of the two has the \
                     data directory of another cluster, or an address in members is wrong",
                    peer.identity.name,
                    HexId(peer.identity.node_id)
                ));
                return Err(Unmet::Refused(Reason::OtherCluster, error));
            }
            if peer.role == HelloRole::Client {
                return Ok(());
            }
            let Identity { node_id, start, nonce, .. } = peer.identity;
            let admitted = self.registry.admit_peer(node_id, start, nonce).await;
            admitted.map_err(|error| {
                if error.kind() == ErrorKind::Refused {
                    return Unmet::Refused(Reason::Superseded, error);
                }
                Unmet::Failed(error)
            })
        }
        .boxed()
    }
}

impl Handler for Door {
    fn handle(&self, from: &Hello, request: Request) -> BoxFuture<'static, Response> {
        let core = match self.core() {
            Ok(core) => core,
            Err(error) => {
                return std::future::ready(Response::Failed(Failure::from(&error))).boxed();
            }
        };
        let from = from.clone();
        async move {
            core.answer(&from, request)
                .await
                .unwrap_or_else(|error| Response::Failed(Failure::from(&error)))
        }
        .boxed()
    }

    fn parts(&self, query: Query) -> BoxStream<'static, Result<Answer>> {
        match self.core() {
            Ok(core) => core.answer_in_parts(query),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    fn stream_append(
        &self,
        from: &Hello,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxStream<'static, Result<StreamAppendResult>> {
        let admitted = self.core().and_then(|core| {
            core.check_sender(from)?;
            let entered = core.intake.enter()?;
            Ok((core, entered))
        });
        match admitted {
            Ok((core, entered)) => core
                .raft
                .stream_append(requests.take_until(entered.ended()).map({
                    let integrity = Arc::clone(&core.integrity);
                    move |request| integrity.heed(request)
                }))
                .inspect({
                    let core = Arc::downgrade(&core);
                    move |result| {
                        // Until the last one is answered.
                        let _entered = &entered;
                        if let (Ok(Ok(_)), Some(core)) = (result, core.upgrade()) {
                            core.contact.note(core.now());
                        }
                    }
                })
                .map(|result| {
                    result.map_err(|fatal| {
                        Error::unavailable("this node has stopped").with_source(fatal)
                    })
                })
                .boxed(),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    fn install_snapshot(
        &self,
        from: &Hello,
        snapshot: Incoming,
    ) -> BoxFuture<'static, Result<SnapshotResponse, Error>> {
        let admitted = self.core().and_then(|core| core.check_sender(from).map(|()| core));
        let sender = from.identity.clone();
        async move { admitted?.install_snapshot(sender, snapshot).await }.boxed()
    }
}

impl Core {
    async fn answer(self: &Arc<Self>, from: &Hello, request: Request) -> Result<Response> {
        match request {
            Request::Propose { origin, command, timeout_ms } => {
                Ok(self.answer_proposal(origin, &command, timeout_ms).await)
            }
            Request::ReadIndex { timeout_ms } => {
                self.answer_read_index(Proof::Quorum, timeout_ms).await
            }
            Request::LeaseIndex { timeout_ms } => {
                self.answer_read_index(Proof::Lease, timeout_ms).await
            }
            Request::Claim(claim) => {
                self.check_claim(&claim)?;
                self.registry.grant(&claim).await?;
                tracing::info!(claimant = claim.claimant, "granted the claim to found a cluster");
                Ok(Response::ClaimGranted)
            }
            Request::Join { record, auto_promote } => {
                self.record_member(from, record, auto_promote).await
            }
            Request::Change { change, again, timeout_ms } => {
                let deadline = self.deadline_in(timeout_ms);
                self.change_here(&change, again, deadline).await.map(|()| Response::Changed)
            }
            Request::Query(query) => self.answer_query(query).await.map(Response::Answer),
            Request::Peers => Ok(Response::Peers(self.known_peers())),
            Request::Append(_)
            | Request::Vote(_)
            | Request::PreVote(_)
            | Request::TransferLeader(_) => {
                self.check_sender(from)?;
                self.answer_raft(request).await
            }
            Request::StreamAppend | Request::Snapshot { .. } => {
                Err(Error::internal("a stream was opened as a request"))
            }
        }
    }

    /// Answers what the raft of a node of this cluster asks of this one.
    async fn answer_raft(&self, request: Request) -> Result<Response> {
        if let Request::TransferLeader(request) = request {
            self.integrity.check()?;
            let answer = self.raft.handle_transfer_leader(request).await;
            return Ok(Response::TransferLeader(answer.map_err(|error| {
                Error::unavailable("this node has stopped").with_source(error)
            })?));
        }
        let stopped = |fatal| Error::unavailable("this node has stopped").with_source(fatal);
        if let Request::Append(request) = request {
            let _entered = self.intake.enter()?;
            let request = self.integrity.heed(request);
            let response = self.raft.append_entries(request).await.map_err(stopped)?;
            if !matches!(response, AppendResponse::HigherVote(_)) {
                self.contact.note(self.now());
            }
            return Ok(Response::Append(response));
        }
        if let Request::Vote(vote) = request {
            self.check_hold(vote.leadership_transfer)?;
            return Ok(Response::Vote(self.raft.vote(vote).await.map_err(stopped)?));
        }
        let Request::PreVote(vote) = request else {
            return Err(Error::internal(format!("{request:?} is no request of raft")));
        };
        self.check_hold(vote.leadership_transfer)?;
        Ok(Response::Vote(self.raft.pre_vote(vote).await.map_err(stopped)?))
    }

    /// Lets only nodes of this cluster speak raft, and before there is one those of the granted
    /// claim.
    ///
    /// The membership known here does not decide alone: a node that was away has yet to learn of
    /// the members who bring it the news.
    pub(super) fn check_sender(&self, from: &Hello) -> Result<()> {
        let id = from.identity.node_id;
        let joins = *self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.registry.cluster_id().or(joins);
        if own.is_some() && own == from.cluster_id {
            return Ok(());
        }
        let claimed = || {
            self.registry.claim().is_some_and(|claim| claim.members.iter().any(|m| m.node_id == id))
        };
        if self.is_member(id) || (!self.raft_has_members() && claimed()) {
            return Ok(());
        }
        Err(Error::refused(format!(
            "{} ({}) is no member of this cluster",
            from.identity.name,
            HexId(id)
        )))
    }

    /// Refuses votes until every lease that this node may have confirmed before its start is over.
    fn check_hold(&self, leadership_transfer: bool) -> Result<()> {
        if leadership_transfer || self.now() >= self.held_until {
            return Ok(());
        }
        Err(Error::unavailable("this node has just started and does not vote yet; retry"))
    }

    async fn answer_proposal(
        self: &Arc<Self>,
        origin: Option<Origin>,
        command: &Bytes,
        timeout_ms: u32,
    ) -> Response {
        if let Err(error) = self.life.check() {
            // Nothing was appended, whatever ended this node: another leader will take it.
            let error = Error::unavailable(format!("this node does not serve: {error}"));
            return Response::Failed(Failure::from(&error));
        }
        if let Err(error) = check_forwarded(command) {
            return Response::Failed(Failure::from(&error));
        }
        let deadline = self.deadline_in(timeout_ms);
        match self.propose_here(origin, command, deadline).await {
            Attempt::Answered(outcome) => Response::Proposed(outcome),
            Attempt::Elsewhere(hint) => {
                Response::Failed(Failure::not_leader(hint.or_else(|| self.other_leader())))
            }
            Attempt::Refused(error) | Attempt::NotYet(error) => {
                Response::Failed(Failure::from(&error))
            }
            Attempt::Unknown(error) => Response::Failed(Failure {
                reason: FailureReason::Kind(ErrorKind::Indeterminate),
                message: error.to_string(),
                revision: None,
            }),
        }
    }

    async fn answer_read_index(
        self: &Arc<Self>,
        proof: Proof,
        timeout_ms: u32,
    ) -> Result<Response> {
        if !self.leads() {
            return Ok(Response::Failed(Failure::not_leader(self.other_leader())));
        }
        let deadline = self.deadline_in(timeout_ms);
        let asked = tokio::time::timeout_at(deadline.into(), self.read_index_here(proof)).await;
        asked.unwrap_or_else(|_| Err(self.no_leader())).map(Response::ReadIndex)
    }

    fn deadline_in(&self, timeout_ms: u32) -> Instant {
        self.now() + Duration::from_millis(u64::from(timeout_ms)).min(MAX_FORWARD_WAIT)
    }

    pub(super) fn other_leader(&self) -> Option<(u64, Member)> {
        match self.leader() {
            Leader::At(id, member) => Some((id, member)),
            Leader::Here | Leader::Unknown => None,
        }
    }

    pub(super) fn known_peers(&self) -> Peers {
        let settings = self.settings();
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: std::collections::BTreeSet<u64> = membership.voter_ids().collect();
        Peers {
            cluster_id: self.registry.cluster_id(),
            term: metrics.vote.leader_id.term,
            leader: metrics.current_leader,
            max_value_bytes: settings.max_value_bytes,
            max_command_bytes: settings.max_command_bytes,
            members: membership
                .nodes()
                .map(|(id, member)| PeerMember {
                    node_id: *id,
                    voter: voters.contains(id),
                    member: member.clone(),
                })
                .collect(),
        }
    }
}

/// Refuses what no node forwards: a leader decides it by itself.
fn check_forwarded(command: &Bytes) -> Result<()> {
    match Command::decode(command.clone()) {
        Ok(command) if command.is_for_leaders() => {
            Err(Error::refused("only a leader proposes this, by itself"))
        }
        // What cannot be decoded is refused with all other commands.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Runs what waits for a disk where it holds no other task up.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal("a task was lost").with_source(error)))
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
