//! Taking office: what a node does between winning an election and stamping its first command.

use std::sync::Arc;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{ReadPolicy, ServerState};

use super::core::Core;
use crate::command::{Command, Payload, Stamp};
use crate::error::{Error, Result};
use crate::proposal::Backoff;

impl Core {
    /// Follows the elections and keeps the office of this node in step, until the node ends.
    pub(super) async fn keep_office(self: Arc<Self>) {
        let mut metrics = self.raft.server_metrics();
        let mut backoff = Backoff::new();
        loop {
            self.note_leader();
            let leading = self.leading_term();
            if leading.is_none() {
                self.lead.leave();
            } else if leading != self.lead.term() {
                self.lead.leave();
                match self.take_office().await {
                    Ok(()) => backoff = Backoff::new(),
                    Err(error) => {
                        tracing::debug!(%error, "cannot take office yet");
                        let now = self.now();
                        backoff.pause(now + self.election_timeout_max(), now).await;
                        if self.is_closing() {
                            return;
                        }
                        continue;
                    }
                }
            }
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { return },
                _ = self.life.ended() => return,
            }
        }
    }

    /// Counts the leaders as they come.
    fn note_leader(&self) {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        if metrics.current_leader.is_some() {
            self.contact.note_leader(metrics.vote.leader_id.term);
        }
    }

    fn leading_term(&self) -> Option<u64> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        (metrics.state == ServerState::Leader).then_some(metrics.vote.leader_id.term)
    }

    /// Waits until all of earlier leaders is applied, founds the cluster if nobody has, and takes office.
    async fn take_office(&self) -> Result<()> {
        let Some(term) = self.leading_term() else { return Ok(()) };
        let confirmed = self.raft.ensure_linearizable(ReadPolicy::ReadIndex);
        tokio::time::timeout(self.election_timeout_max(), confirmed)
            .await
            .map_err(|_| Error::unavailable("no majority has answered the new leader yet"))?
            .map_err(|error| {
                Error::unavailable("the new leader is not confirmed").with_source(error)
            })?;
        let since = self.now();
        let base_ms = self.view().cluster_ms();
        if self.view().cluster_id().is_none() {
            self.found(base_ms).await?;
        }
        self.lead.take(term, base_ms, since);
        tracing::info!(term, cluster_ms = base_ms, "leads");
        Ok(())
    }

    /// Proposes the first command of the cluster. Two leaders may both do it: the first one counts.
    async fn found(&self, cluster_ms: u64) -> Result<()> {
        let claim = self
            .registry
            .claim()
            .ok_or_else(|| Error::internal("a founding node without a claim leads"))?;
        let command = Command::Found {
            cluster_id: claim.cluster_id,
            revision_base: 0,
            settings: claim.settings,
        };
        let stamp = Stamp { cluster_ms, wall_ms: self.config.environment.clock.wall_ms() };
        let payload = Payload::new(stamp, None, &command.encode());
        let written =
            tokio::time::timeout(self.election_timeout_max() * 4, self.raft.client_write(payload))
                .await;
        written
            .map_err(|_| Error::unavailable("no majority has acknowledged the founding yet"))?
            .map_err(|error| Error::unavailable("the founding was not written").with_source(error))?;
        tracing::info!(cluster = format_args!("{:032x}", claim.cluster_id), "founded the cluster");
        Ok(())
    }
}
