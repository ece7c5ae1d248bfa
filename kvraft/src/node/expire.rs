//! Expiry: the leader ends what has outlived its time, in steps that let other writes between.
//!
//! A lease never ends before its time to live is over in led time, and at most a second after it.
//! A change of leader adds the time without one, and at most a second that the old leader had
//! counted and nobody had applied.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::core::Core;
use crate::command::{Command, MAX_LEASES_AT_ONCE};
use crate::error::Result;
use crate::proposal::Attempt;

/// How often the leader looks for leases that are over, and counts its time.
const INTERVAL: Duration = Duration::from_millis(100);
/// How far the state may be behind the leader's time while there are leases: what its successor
/// does not know of, leases live longer.
const LONGEST_SILENCE_MS: u64 = 1000;
/// Sessions that one command ends: bounded, so that it holds no write up.
const SESSIONS_AT_ONCE: usize = 256;

impl Core {
    /// Ends leases and sessions in time for as long as this node leads, until it ends.
    pub(super) async fn expire(self: Arc<Self>) {
        loop {
            match self.expire_once().await {
                // A full step: more was due.
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "expiry has to try again"),
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = self.life.ended() => return,
            }
        }
    }

    /// Returns whether more was due than one step ends. What comes due meanwhile waits for the next
    /// one, so that leases that end one by one do not fill the log.
    async fn expire_once(&self) -> Result<bool> {
        let Some(stamp) = self.lead.stamp(self.config.environment.clock.as_ref()) else {
            return Ok(false);
        };
        let view = self.view();
        let sessions = view.expired_sessions(stamp.cluster_ms, SESSIONS_AT_ONCE);
        if !sessions.is_empty() {
            self.propose_own(&Command::ExpireSessions { sessions }).await?;
        }
        let leases = view.expired_leases(stamp.cluster_ms, MAX_LEASES_AT_ONCE);
        let silent = stamp.cluster_ms.saturating_sub(view.cluster_ms()) > LONGEST_SILENCE_MS;
        if leases.is_empty() && !(silent && view.has_leases()) {
            return Ok(false);
        }
        let applied = self.propose_own(&Command::ExpireLeases { leases }).await?;
        Ok(applied && !self.view().expired_leases(stamp.cluster_ms, 1).is_empty())
    }

    /// Proposes what only a leader proposes; returns whether this node still was one.
    pub(super) async fn propose_own(&self, command: &Command) -> Result<bool> {
        let command: Bytes = command.encode();
        let deadline = self.now() + self.config.request_timeout;
        match self.propose_here(None, &command, deadline).await {
            Attempt::Answered(_) => Ok(true),
            Attempt::Elsewhere(_) => Ok(false),
            Attempt::Refused(error) | Attempt::NotYet(error) | Attempt::Unknown(error) => {
                Err(error)
            }
        }
    }
}
