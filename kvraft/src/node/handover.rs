//! Handover: a leader that closes leaves its office to the member that is closest behind.

use std::time::{Duration, Instant};

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;

use super::core::{Core, MAX_PROPOSALS};
use crate::error::{Error, Result};
use crate::proposal::{Leader, SESSION_PATIENCE, end_session};

/// How long an heir has at least, however short the elections are.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

impl Core {
    /// Leaves the session and the office behind in good order, as far as time allows.
    pub(super) async fn leave(&self, deadline: Instant) {
        end_session(self, deadline.min(self.now() + SESSION_PATIENCE)).await;
        if let Err(error) = self.hand_over(deadline).await {
            tracing::warn!(%error, "closes without handing leadership over; the others elect a leader");
        }
    }

    /// Transfers leadership, if this node leads: stops letting writes in, waits until one voter
    /// has the whole log, asks it to take over, and waits until it has.
    async fn hand_over(&self, deadline: Instant) -> Result<()> {
        if !self.leads() || self.other_voters().is_empty() {
            return Ok(());
        }
        if !self.leader_is_confirmed() {
            return Err(Error::unavailable("no majority is there to take over"));
        }
        // An heir answers within an election; a longer wait would only hold the host up.
        let patience = LEAST_PATIENCE.max(self.election_timeout_max() * 4);
        let deadline = deadline.min(self.now() + patience);
        // Never given back: from here on this node lets no write in.
        let paused =
            tokio::time::timeout_at(deadline.into(), self.proposals.acquire_many(MAX_PROPOSALS));
        paused.await.map_err(|_| late())?.map_err(|_| late())?.forget();
        self.pass_on(None, deadline).await
    }

    /// Transfers leadership to this voter, or to the closest one, and goes on as a follower.
    pub(super) async fn transfer_to(&self, heir: Option<u64>, deadline: Instant) -> Result<()> {
        let patience = LEAST_PATIENCE.max(self.election_timeout_max() * 4);
        let deadline = deadline.min(self.now() + patience);
        // Given back at the end, whatever comes of it: writes go on here or there.
        let paused =
            tokio::time::timeout_at(deadline.into(), self.proposals.acquire_many(MAX_PROPOSALS));
        let _paused = paused.await.map_err(|_| late())?.map_err(|_| late())?;
        self.pass_on(heir, deadline).await
    }

    /// Waits until a voter has the whole log, asks it to take over, and waits until it has.
    async fn pass_on(&self, heir: Option<u64>, deadline: Instant) -> Result<()> {
        let handed = async {
            let heir = self.matched_voter(heir).await?;
            tracing::info!(to = format_args!("{heir:016x}"), "hands leadership over");
            self.raft
                .trigger()
                .transfer_leader(heir)
                .await
                .map_err(|fatal| Error::unavailable("raft has stopped").with_source(fatal))?;
            self.leader_changed(&Leader::Here).await;
            while self.leader() == Leader::Unknown {
                self.leader_changed(&Leader::Unknown).await;
            }
            Ok(())
        };
        tokio::time::timeout_at(deadline.into(), handed).await.unwrap_or_else(|_| Err(late()))
    }

    fn other_voters(&self) -> Vec<u64> {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().voter_ids().filter(|id| *id != metrics.id).collect()
    }

    /// Waits until some other voter, or this one, has matched the last log id: any other ignores
    /// the request.
    async fn matched_voter(&self, wanted: Option<u64>) -> Result<u64> {
        let mut metrics = self.raft.metrics();
        loop {
            let mut voters = self.other_voters();
            voters.retain(|id| wanted.is_none_or(|wanted| wanted == *id));
            let found = {
                let now = metrics.borrow_watched();
                let last = now.last_log_index;
                let matched = now.replication.iter().flatten().filter(|(id, log_id)| {
                    voters.contains(id) && log_id.as_ref().map(openraft::LogId::index) == last
                });
                // One that has matched may be dead by now: take the one that answered last.
                let silence = |id: &u64| {
                    let heartbeats = now.heartbeat.as_ref()?;
                    heartbeats.get(id)?.as_ref().map(|acked| acked.elapsed())
                };
                let answered = |id: &u64| (silence(id).is_none(), silence(id));
                matched.map(|(id, _)| *id).min_by_key(answered)
            };
            if let Some(id) = found {
                return Ok(id);
            }
            metrics.changed().await.map_err(|_| Error::closed("raft has stopped"))?;
        }
    }
}

fn late() -> Error {
    Error::unavailable("no voter has taken over in time")
}
