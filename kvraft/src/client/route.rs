//! A client's way to the leader: members tell who it is, and it is never this process.

use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::core::Core;
use crate::command::{Origin, SessionId};
use crate::error::{Error, Result};
use crate::options::AskedChange;
use crate::proposal::{self, Attempt, Census, Leader, Route, Session};
use crate::transport::{PeerMember, Transport};

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
        self.guide.leader()
    }

    async fn leader_changed(&self, from: &Leader) {
        let mut news = self.guide.news();
        while self.guide.leader() == *from {
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    fn has_failed(&self) {
        self.guide.ask_for_news();
    }

    fn no_leader(&self) -> Error {
        Self::no_leader(self)
    }

    async fn ended(&self) -> Error {
        Self::ended(self).await
    }

    fn transport(&self) -> Option<&Transport> {
        Some(&self.transport)
    }

    fn propose_here<'a>(
        &'a self,
        _origin: Option<Origin>,
        _command: &'a Bytes,
        _deadline: Instant,
    ) -> BoxFuture<'a, Attempt> {
        std::future::ready(Attempt::Elsewhere(None)).boxed()
    }

    fn change_here<'a>(
        &'a self,
        _asked: &'a AskedChange,
        _deadline: Instant,
    ) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Err(Error::unavailable("a client leads nobody"))).boxed()
    }

    fn members_here(&self) -> Vec<PeerMember> {
        Vec::new()
    }
}

impl Census for Core {
    fn members(&self) -> Vec<PeerMember> {
        self.guide.known().members.clone()
    }

    /// A client has no state.
    fn own_hash(
        &self,
        _node_id: u64,
        _revision: u64,
        _deadline: Instant,
    ) -> Option<BoxFuture<'_, Result<u64>>> {
        None
    }
}
