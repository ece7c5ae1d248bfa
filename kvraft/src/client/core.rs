//! `Core` is what the tasks of a client share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::guide::Guide;
use super::introduction::Introduction;
use crate::config::CheckedClientConfig;
use crate::error::{Error, Result};
use crate::identity::HexId;
use crate::proposal::{Session, new_session_id};
use crate::status::{MemberStatus, Role, Status};
use crate::transport::Transport;

/// Scans, watches and waits for locks that one client may have under way: a few less than the
/// streams that a member lets one connection have.
const MAX_WAITS: usize = 1000;
/// A member that was heard this long ago counts as reached: three of the guide's rounds.
const FRESH: Duration = Duration::from_secs(3);

/// The parts of a connected client.
pub(super) struct Core {
    pub(super) config: CheckedClientConfig,
    pub(super) guide: Arc<Guide>,
    pub(super) transport: Transport,
    pub(super) session: Session,
    waits: Arc<Semaphore>,
    ended: watch::Sender<bool>,
}

impl Core {
    /// Binds a socket; talks to nobody yet.
    pub(super) fn start(config: CheckedClientConfig) -> Result<Self> {
        let guide = Arc::new(Guide::new(config.endpoints.clone(), &config.environment)?);
        let introduction = Introduction::new(&config, Arc::clone(&guide))?;
        let transport =
            Transport::dial_only(&config.security, &config.environment, Arc::new(introduction))?;
        let session = Session::new(new_session_id(&config.environment)?);
        let waits = Arc::new(Semaphore::new(MAX_WAITS));
        Ok(Self { config, guide, transport, session, waits, ended: watch::Sender::new(false) })
    }

    pub(super) fn now(&self) -> Instant {
        self.config.environment.clock.now()
    }

    /// Takes a place among what may wait long.
    pub(super) fn wait_permit(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.waits).try_acquire_owned().map_err(|_| {
            Error::overloaded(format!(
                "this client has {MAX_WAITS} scans, watches and waits for locks under way; end some, or connect \
                 another client"
            ))
        })
    }

    /// Lets every call that waits fail, and every later one.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Returns once the client is closed.
    pub(super) async fn ended(&self) -> Error {
        let mut ended = self.ended.subscribe();
        // The sender lives in `self`.
        drop(ended.wait_for(|ended| *ended).await);
        closed()
    }

    /// Does `work`, which comes to nothing once the client is closed.
    pub(super) async fn while_open<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            // The end of the client comes first: whatever else fails then fails because of it.
            why = self.ended() => Err(why),
            done = work => done,
        }
    }

    pub(super) fn no_leader(&self) -> Error {
        let trouble = self.guide.trouble();
        Error::unavailable(match trouble {
            Some(trouble) => {
                format!("no member that was reached knows a leader ({trouble}); retry")
            }
            None => "no member that was reached knows a leader; retry".to_owned(),
        })
    }

    /// Returns whether a member was heard lately, and a leader is known.
    pub(super) fn is_ready(&self) -> bool {
        self.guide.known().leader.is_some() && self.guide.was_heard(self.now(), FRESH)
    }

    pub(super) async fn wait_ready(&self, deadline: Instant) -> Result<()> {
        let mut news = self.guide.news();
        let ready = async {
            while !self.is_ready() {
                // The sender lives in the guide; who has been heard is told by each round.
                drop(news.changed().await);
            }
        };
        tokio::select! {
            waited = tokio::time::timeout_at(deadline.into(), ready) => waited.map_err(|_| self.no_leader()),
            why = self.ended() => Err(why),
        }
    }

    pub(super) fn status(&self) -> Status {
        let known = self.guide.known();
        let members = known.members.iter().map(|peer| MemberStatus {
            name: peer.member.name.clone(),
            node_id: HexId(peer.node_id).to_string(),
            address: peer.member.address.clone(),
            http: peer.member.http.clone(),
            labels: peer.member.labels.clone(),
            voter: peer.voter,
            matched: None,
            link: None,
        });
        let mut members: Vec<_> = members.collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let leader = known.leader_member().filter(|_| self.is_ready());
        Status {
            name: self.config.name.clone(),
            cluster_id: known.cluster_id.map(|id| format!("{id:032x}")),
            leader: leader.map(|member| member.name.clone()),
            leader_http: leader.map(|member| member.http.clone()).filter(|url| !url.is_empty()),
            role: Role::Client,
            term: known.term,
            members,
            ready: self.is_ready(),
            version: env!("CARGO_PKG_VERSION"),
            ..Status::default()
        }
    }

    /// Returns what is left to be said once the client is closed.
    pub(super) fn last_status(&self) -> Status {
        Status {
            role: Role::Stopped,
            ready: false,
            leader: None,
            leader_http: None,
            ..self.status()
        }
    }
}

pub(super) fn closed() -> Error {
    Error::closed("the map is closed; connect again")
}
