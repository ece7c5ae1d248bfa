//! Tending: a client asks who leads before it needs to know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};

use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::proposal::Backoff;
use crate::transport::{Peer, Request, Response};

/// How often one member is asked while all is well, each in its turn.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long a member may take to say what it knows: it asks nobody.
const PATIENCE: Duration = Duration::from_millis(500);
/// The least pause between two rounds, however many calls fail.
const GAP: Duration = Duration::from_millis(20);
/// Members that are asked at a time.
const AT_ONCE: usize = 8;

impl Core {
    /// Keeps what is known of the leader fresh, until it is aborted.
    pub(super) async fn tend(self: Arc<Self>) {
        for turn in 0_usize.. {
            let stale = tokio::time::timeout(INTERVAL, self.guide.is_stale()).await.is_ok();
            // One after the other: a leader that is cut off believes in itself for a while.
            let well = match self.guide.candidate(turn) {
                Ok(peer) if !stale => self.ask_for_news_at(peer).await,
                Ok(_) | Err(_) => false,
            };
            if !well {
                self.ask_all_for_news().await;
            }
            tokio::time::sleep(GAP).await;
        }
    }

    /// Asks everyone until one has answered.
    pub(super) async fn find_member(&self, deadline: Instant) -> Result<()> {
        let mut backoff = Backoff::new();
        loop {
            self.ask_all_for_news().await;
            if self.guide.was_heard(self.now(), PATIENCE + GAP) {
                return Ok(());
            }
            if !backoff.pause(deadline, self.now()).await {
                return Err(self.unreachable());
            }
        }
    }

    async fn ask_all_for_news(&self) {
        let asked = self.guide.candidates().into_iter().map(|peer| self.ask_for_news_at(peer));
        stream::iter(asked).buffer_unordered(AT_ONCE).map(drop).collect::<()>().await;
    }

    /// Asks one member; returns whether it knows a leader.
    async fn ask_for_news_at(&self, peer: Peer) -> bool {
        let asked = self.transport.request(&peer, Request::Peers, self.now() + PATIENCE).await;
        let error = match asked {
            Ok(Response::Peers(peers)) => {
                let leads = peers.leader.is_some();
                self.guide.note(&peer, peers, self.now());
                return leads;
            }
            Ok(Response::Failed(failure)) => failure.into(),
            Ok(_) => Error::internal(format!("{peer} answered something else")),
            Err(error) => error.error().clone(),
        };
        tracing::debug!(%peer, %error, "a member tells no news");
        self.guide.fail(&peer, &error);
        false
    }

    /// Says why nobody could be reached; that the secret is wrong is for people to mend.
    fn unreachable(&self) -> Error {
        let endpoints = self.config.endpoints.join(", ");
        let Some(trouble) = self.guide.trouble() else {
            return Error::unavailable(format!(
                "none of {endpoints} answers; check that they run, and that these are the ports of listen (UDP), not \
                 of HTTP"
            ));
        };
        let mendable = [ErrorKind::Unauthorized, ErrorKind::Refused];
        let kind = mendable.into_iter().find(|kind| *kind == trouble.kind());
        let kind = kind.unwrap_or(ErrorKind::Unavailable);
        Error::new(kind, format!("none of {endpoints} can be talked to: {trouble}"))
    }
}
