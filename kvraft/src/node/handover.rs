//! Handover: a leader that closes leaves its office to the member that is closest behind.

use std::time::{Duration, Instant};

use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;

use super::candidacy::Standing;
use super::core::{Core, MAX_PROPOSALS};
use crate::error::{Error, Result};
use crate::proposal::{Leader, SESSION_PATIENCE, end_session};
use crate::transport::PeerMember;

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

    fn other_voters(&self) -> Vec<PeerMember> {
        let own = self.node_id();
        let mut members = self.known_peers().members;
        members.retain(|member| member.voter && member.node_id != own);
        members
    }

    /// Waits until some other voter, or this one, has matched the last log id and is in service: any
    /// other ignores or refuses the request, and raft, which knows nothing of that, would neither
    /// lead on nor let go.
    async fn matched_voter(&self, wanted: Option<u64>) -> Result<u64> {
        let mut metrics = self.raft.metrics();
        loop {
            for voter in self.matched_voters(wanted) {
                match self.standing(&voter).await {
                    Standing::InService => return Ok(voter.node_id),
                    Standing::Out if wanted.is_some() => return Err(is_out(&voter.member.name)),
                    Standing::Out | Standing::Silent => {}
                }
            }
            metrics.changed().await.map_err(|_| Error::closed("raft has stopped"))?;
        }
    }

    /// Returns the voters that have matched the last log id, the one that answered last first: one
    /// that has matched may be dead by now.
    fn matched_voters(&self, wanted: Option<u64>) -> Vec<PeerMember> {
        let metrics = self.raft_metrics();
        let silence =
            |id: &u64| metrics.heartbeat.as_ref()?.get(id)?.as_ref().map(|acked| acked.elapsed());
        let matched = |id: &u64| {
            let matched = metrics.replication.as_ref().and_then(|progress| progress.get(id));
            matched.is_some_and(|log_id| {
                log_id.as_ref().map(openraft::LogId::index) == metrics.last_log_index
            })
        };
        let mut voters = self.other_voters();
        voters.retain(|voter| {
            wanted.is_none_or(|wanted| wanted == voter.node_id) && matched(&voter.node_id)
        });
        voters.sort_by_key(|voter| {
            let silence = silence(&voter.node_id);
            (silence.is_none(), silence)
        });
        voters
    }
}

fn is_out(name: &str) -> Error {
    Error::unavailable(format!("{name} fetches its state from another member, and cannot lead yet"))
}

fn late() -> Error {
    Error::unavailable("no voter has taken over in time")
}
