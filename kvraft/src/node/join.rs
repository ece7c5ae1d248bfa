//! Joining: how a node gets a place in a cluster that exists, keeps its record, and learns that it
//! was let go.

use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;

use super::bootstrap::own_record;
use super::core::Core;
use super::greet::may_pass;
use super::steward::NAME_SILENCE;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::HexId;
use crate::proposal::{Leader, peer};
use crate::raft::Member;
use crate::transport::{Failure, Hello, Peer, Peers, Request, Response, Transport};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a name may be in use before it is certain that two nodes have it.
const NAME_PATIENCE: Duration = Duration::from_secs(15);
/// How long the leader has to record a member.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Asks the nodes at the addresses of `join` for a place.
    pub(super) async fn try_to_join(&self) -> Result<()> {
        let Some(transport) = &self.transport else { return Ok(()) };
        let mut failure = Error::unavailable("nobody to join is set");
        for address in &self.config.join {
            let deadline = self.now() + PATIENCE;
            match transport.hello_of(address, deadline).await {
                Ok(hello) if hello.initialised => {
                    let known = peer(
                        hello.identity.node_id,
                        &Member { address: address.clone(), ..hello.record },
                    );
                    match self.join_by(&known).await {
                        Err(error) if error.kind() == ErrorKind::Unavailable => failure = error,
                        joined => return joined,
                    }
                }
                Ok(hello) => {
                    let name = hello.identity.name;
                    failure = Error::unavailable(format!(
                        "waiting for {name} at {address} to have a cluster"
                    ));
                }
                Err(unmet) => {
                    let doing = format!("waiting for a member to join at {address}");
                    failure = may_pass(unmet).context(doing);
                }
            }
        }
        Err(failure)
    }

    /// Asks the leader that this member knows for a place in its cluster.
    pub(super) async fn join_by(&self, member: &Peer) -> Result<()> {
        let peers = self.peers_of(member).await?;
        let leader = peers.leader.and_then(|id| peers.members.iter().find(|m| m.node_id == id));
        let Some(leader) = leader else {
            return Err(Error::unavailable(format!("waiting for {member} to know a leader")));
        };
        self.ask_for_place(&peer(leader.node_id, &leader.member)).await
    }

    async fn peers_of(&self, member: &Peer) -> Result<Peers> {
        let Some(transport) = &self.transport else {
            return Err(Error::internal("this node has no socket"));
        };
        match transport.request(member, Request::Peers, self.now() + PATIENCE).await {
            Ok(Response::Peers(peers)) => Ok(peers),
            Ok(Response::Failed(failure)) => Err(failure.into()),
            Ok(_) => Err(Error::internal(format!("{member} answered something else"))),
            Err(error) => Err(Error::unavailable(error.error().to_string())),
        }
    }

    /// Has the leader record this node: as a learner, or as it is now.
    async fn ask_for_place(&self, leader: &Peer) -> Result<()> {
        let Some(transport) = &self.transport else { return Ok(()) };
        let record = own_record(&self.config, transport.local_addr().port());
        let request = Request::Join { record, auto_promote: self.config.auto_promote };
        match transport.request(leader, request, self.now() + RECORD_PATIENCE).await {
            Ok(Response::Joined(cluster)) => {
                *self.joining.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(cluster);
                Ok(())
            }
            Ok(Response::Failed(failure)) => Err(self.patient(failure.into())),
            Ok(_) => Err(Error::internal(format!("{leader} answered something else"))),
            Err(error) => Err(Error::unavailable(error.error().to_string())),
        }
    }

    /// Makes a refusal one that may pass, for as long as a former self of this node has to be
    /// silent.
    fn patient(&self, error: Error) -> Error {
        let since = *self.refused_since.get_or_init(|| self.now());
        let waited = self.now().saturating_duration_since(since);
        if error.kind() == ErrorKind::Refused && waited < NAME_PATIENCE {
            return Error::unavailable(error.message());
        }
        error
    }

    /// Keeps the record of this node true; returns whether its cluster counts it.
    pub(super) async fn see_to_own_place(&self) -> Result<bool> {
        if self.leader_is_confirmed() {
            let new = self.new_record(self.recorded(self.node_id()).as_ref());
            let (Some(_), Leader::At(id, leader)) = (new, self.leader()) else { return Ok(true) };
            return self.ask_for_place(&peer(id, &leader)).await.map(|()| true);
        }
        if self.view().applied().is_none() {
            return Ok(true);
        }
        self.is_counted().await
    }

    /// Asks a leader whether this node is still a member: who was let go hears nothing of it. Only
    /// one that a quorum confirms now knows; any other may be behind.
    async fn is_counted(&self) -> Result<bool> {
        for (id, member) in self.other_members() {
            let Ok(peers) = self.peers_of(&peer(id, &member)).await else { continue };
            let leader = peers.leader.filter(|_| peers.term >= self.raft_metrics().current_term);
            let leader = leader.and_then(|id| peers.members.iter().find(|m| m.node_id == id));
            let Some(leader) = leader else { continue };
            let leader = peer(leader.node_id, &leader.member);
            if self.is_confirmed(&leader).await {
                let members = self.peers_of(&leader).await?.members;
                return Ok(members.iter().any(|member| member.node_id == self.node_id()));
            }
        }
        Err(Error::unavailable("nobody knows a leader"))
    }

    async fn is_confirmed(&self, leader: &Peer) -> bool {
        let Some(transport) = &self.transport else { return false };
        let timeout_ms = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
        let asked = Request::ReadIndex { timeout_ms };
        let answer = transport.request(leader, asked, self.now() + PATIENCE).await;
        matches!(answer, Ok(Response::ReadIndex(_)))
    }

    /// Returns what is to be recorded of this node, if that is not what is recorded.
    pub(super) fn new_record(&self, recorded: Option<&Member>) -> Option<Member> {
        let (transport, recorded) = (self.transport.as_ref()?, recorded?);
        let own = own_record(&self.config, transport.local_addr().port());
        let own = Member { promote: recorded.promote, ..own };
        Some(own).filter(|own| own != recorded)
    }

    /// Returns where others reach this node; empty without a socket.
    pub(super) fn own_address(&self) -> String {
        let record =
            |transport: &Transport| own_record(&self.config, transport.local_addr().port()).address;
        self.transport.as_ref().map(record).unwrap_or_default()
    }

    fn other_members(&self) -> Vec<(u64, Member)> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes.filter(|(id, _)| **id != metrics.id).map(|(id, m)| (*id, m.clone())).collect()
    }

    fn recorded(&self, id: u64) -> Option<Member> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&id).cloned()
    }

    /// Records a node that asks for it, as the leader: a new one as a learner.
    pub(super) async fn record_member(
        &self,
        from: &Hello,
        record: Member,
        auto_promote: bool,
    ) -> Result<Response> {
        let Some(since) = self.lead.led_since().filter(|_| self.leads()) else {
            return Ok(Response::Failed(Failure::not_leader(self.other_leader())));
        };
        let (id, deadline) = (from.identity.node_id, self.now() + RECORD_PATIENCE);
        let Some(cluster) = self.view().cluster_id() else {
            return Err(Error::unavailable("the cluster is being founded; retry"));
        };
        if record.name != from.identity.name {
            return Err(Error::refused("a node records itself under its own name only"));
        }
        let turn = tokio::time::timeout_at(deadline.into(), self.changing.lock()).await;
        let _turn = turn.map_err(|_| Error::unavailable("another change is under way; retry"))?;
        let level = self.settings().format_level;
        if from.format_level < level {
            return Err(Error::refused(format!(
                "the cluster writes format level {level}, and {} knows {}: run a newer kvraft on it",
                record.name, from.format_level
            )));
        }
        let roll = self.roll();
        let change = match roll.members.get(&id) {
            Some(known) => {
                let record = Member { promote: known.promote, ..record };
                if *known == record {
                    return Ok(Response::Joined(cluster));
                }
                ChangeMembers::SetNodes([(id, record)].into())
            }
            None => {
                let namesakes = roll.members.iter().filter(|(_, m)| m.name == record.name);
                let silence = |id: &u64| self.silence(&roll, *id, since);
                if let Some(old) = namesakes.map(|(id, _)| *id).min_by_key(silence)
                    && silence(&old) < NAME_SILENCE
                {
                    let error = name_in_use(&record.name, old, id, silence(&old));
                    // Who was never heard by this leader may be dead for long.
                    let heard = roll.silence(old).is_some();
                    return Err(if heard { error } else { Error::unavailable(error.message()) });
                }
                tracing::info!(name = record.name, id = %HexId(id), "joins as a learner");
                ChangeMembers::AddNodes([(id, Member { promote: auto_promote, ..record })].into())
            }
        };
        self.change(&roll, change, true, deadline).await?;
        Ok(Response::Joined(cluster))
    }
}

fn name_in_use(name: &str, old: u64, new: u64, silence: Duration) -> Error {
    Error::refused(format!(
        "name in use: {name} is node {} and was heard {} ms ago, and this data directory is node {}; a new disk \
         takes the place of an old one once that has been silent for {} s. Stop the other node, or give this one \
         another name",
        HexId(old),
        silence.as_millis(),
        HexId(new),
        NAME_SILENCE.as_secs()
    ))
}
