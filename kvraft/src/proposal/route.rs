//! `Route` is how a process finds the leader: as a member that hears it, or as a client that asks.

use std::future::Future;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Attempt, Session};
use crate::command::{Origin, SessionId};
use crate::error::{Error, Result};
use crate::options::AskedChange;
use crate::raft::Member;
use crate::transport::{Peer, PeerMember, Transport};

/// Who leads, as far as this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leader {
    Here,
    At(u64, Member),
    Unknown,
}

/// What a proposal needs of the process that makes it.
pub(crate) trait Route: Send + Sync {
    fn now(&self) -> Instant;

    fn session(&self) -> &Session;

    /// Makes the id of a session that was never used.
    fn new_session_id(&self) -> Result<SessionId>;

    /// Returns who leads, without asking anyone.
    fn leader(&self) -> Leader;

    /// Returns once another node leads, or nobody does, than `from`.
    fn leader_changed(&self, from: &Leader) -> impl Future<Output = ()> + Send;

    /// Takes note that an attempt came to nothing: what is known of the leader may be old.
    fn has_failed(&self);

    /// Returns why there is no leader, for whoever waits for one.
    fn no_leader(&self) -> Error;

    /// Returns once the process makes no more proposals, with the reason.
    fn ended(&self) -> impl Future<Output = Error> + Send;

    /// `None` if it can reach nobody.
    fn transport(&self) -> Option<&Transport>;

    /// Proposes as the leader; never asks another node. Boxed, since it holds all of raft's write.
    fn propose_here<'a>(
        &'a self,
        origin: Option<Origin>,
        command: &'a Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Attempt>;

    /// Changes the membership as the leader.
    fn change_here<'a>(
        &'a self,
        asked: &'a AskedChange,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<()>>;

    /// Returns the members as the leader; never asks another node.
    fn members_here(&self) -> Vec<PeerMember>;
}

/// Waits until some node is known to lead.
pub(crate) async fn known_leader(route: &impl Route, deadline: Instant) -> Result<Leader> {
    let search = async {
        loop {
            match route.leader() {
                Leader::Unknown => route.leader_changed(&Leader::Unknown).await,
                known @ (Leader::Here | Leader::At(..)) => return known,
            }
            // A source of news that has ended wakes its watchers at once, for ever.
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        found = tokio::time::timeout_at(deadline.into(), search) => found.map_err(|_| route.no_leader()),
        why = route.ended() => Err(why),
    }
}

pub(crate) fn peer(node_id: u64, member: &Member) -> Peer {
    Peer { node_id: Some(node_id), name: member.name.clone(), address: member.address.clone() }
}
