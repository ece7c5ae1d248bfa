//! A member's way to the leader: raft says who it is, and it may be this node itself.

use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::core::Core;
use crate::command::{Command, Origin, Outcome, SessionId};
use crate::error::{Error, Result};
use crate::options::MembershipChange;
use crate::proposal::{self, Attempt, Census, Leader, Route, Session};
use crate::transport::{PeerMember, Transport};

impl Core {
    /// Has `command` applied exactly once, or fails; see the kinds of its errors.
    pub(super) async fn propose(&self, command: Command, deadline: Instant) -> Result<Outcome> {
        // The leader may be of an older release, which has no word for what it cannot read.
        self.check_format(&command)?;
        proposal::propose(self, command, deadline).await
    }

    /// Waits until some node is known to lead.
    pub(super) async fn known_leader(&self, deadline: Instant) -> Result<Leader> {
        proposal::known_leader(self, deadline).await
    }
}

impl Route for Core {
    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn new_session_id(&self) -> Result<SessionId> {
        proposal::new_session_id(&self.config.environment)
    }

    fn leader(&self) -> Leader {
        Self::leader(self)
    }

    async fn leader_changed(&self, from: &Leader) {
        Self::leader_changed(self, from).await;
    }

    /// Raft hears of a new leader by itself.
    fn has_failed(&self) {}

    fn no_leader(&self) -> Error {
        Self::no_leader(self)
    }

    async fn ended(&self) -> Error {
        self.life.ended().await
    }

    fn transport(&self) -> Option<&Transport> {
        self.transport.as_ref()
    }

    fn propose_here<'a>(
        &'a self,
        origin: Option<Origin>,
        command: &'a Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Attempt> {
        Self::propose_here(self, origin, command, deadline).boxed()
    }

    fn change_here<'a>(
        &'a self,
        change: &'a MembershipChange,
        again: bool,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<()>> {
        Self::change_here(self, change, again, deadline).boxed()
    }
}

impl Census for Core {
    fn members(&self) -> Vec<PeerMember> {
        self.known_peers().members
    }

    fn own_hash(
        &self,
        node_id: u64,
        revision: u64,
        deadline: Instant,
    ) -> Option<BoxFuture<'_, Result<u64>>> {
        (node_id == self.node_id()).then(|| self.hash_at(revision, deadline).boxed())
    }
}
