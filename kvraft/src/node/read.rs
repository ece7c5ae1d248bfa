//! A read: a barrier where it must be linearizable, then a look at the local view.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use openraft::LinearizerOption;
use openraft::errors::{LinearizableReadError, RaftError};

use super::core::Core;
use crate::error::{Error, Result};
use crate::options::Consistency;
use crate::proposal::{Backoff, Leader, peer};
use crate::storage::View;
use crate::transport::{Request, Response};

/// How the leader proves that it still leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// A quorum confirms it after the question was asked.
    Quorum,
    /// A quorum has confirmed it lately: the voters elect nobody else until the longest election
    /// timeout is over. Holds only if no clock runs a fifth faster than another.
    Lease,
}

/// One thing for each kind of proof.
#[derive(Debug, Default)]
pub(super) struct ByProof<T> {
    quorum: T,
    lease: T,
}

impl<T> ByProof<T> {
    const fn of(&self, proof: Proof) -> &T {
        match proof {
            Proof::Quorum => &self.quorum,
            Proof::Lease => &self.lease,
        }
    }
}

impl Core {
    /// Returns a view that is as fresh as the read asks for.
    pub(super) async fn read(
        self: &Arc<Self>,
        consistency: Consistency,
        min_revision: u64,
        deadline: Instant,
    ) -> Result<Arc<View>> {
        self.integrity.check()?;
        match consistency {
            Consistency::Linearizable => self.barrier(Proof::Quorum, deadline).await?,
            Consistency::Lease => self.barrier(Proof::Lease, deadline).await?,
            Consistency::Local => self.life.check()?,
        }
        if self.view().revision() < min_revision {
            let applied = self.wait_applied(self.index_of(min_revision), deadline).await;
            applied.map_err(|error| {
                error.context(format_args!("this node has not come to revision {min_revision}"))
            })?;
        }
        // It may have been taken out while the read waited.
        self.integrity.check()?;
        Ok(self.view())
    }

    /// Returns when everything that was acknowledged anywhere before the call is applied here.
    pub(super) async fn read_barrier(self: &Arc<Self>, deadline: Instant) -> Result<()> {
        self.barrier(Proof::Quorum, deadline).await
    }

    async fn barrier(self: &Arc<Self>, proof: Proof, deadline: Instant) -> Result<()> {
        let mut backoff = Backoff::new();
        loop {
            self.life.check()?;
            self.counts.barriers.add();
            let asked =
                tokio::time::timeout_at(deadline.into(), self.read_index(proof, deadline)).await;
            let error = match asked {
                Ok(Ok(index)) => return self.wait_applied(index, deadline).await,
                Ok(Err(error)) => error,
                Err(_) => self.no_leader(),
            };
            if !error.is_retryable() || !backoff.pause(deadline, self.now()).await {
                return Err(error);
            }
        }
    }

    /// Asks, together with the reads that wait now, which index a linearizable read needs.
    async fn read_index(self: &Arc<Self>, proof: Proof, deadline: Instant) -> Result<u64> {
        match self.known_leader(deadline).await? {
            Leader::Here | Leader::Unknown => self.read_index_here(proof).await,
            Leader::At(..) => {
                let core = Arc::downgrade(self);
                let ask = move || {
                    let core = core.clone();
                    async move { alive(&core)?.ask_leader(proof).await }
                };
                self.leader_rounds.of(proof).join(ask).await
            }
        }
    }

    /// Asks the own raft, which must lead; proves its leadership first.
    pub(super) async fn read_index_here(self: &Arc<Self>, proof: Proof) -> Result<u64> {
        let core = Arc::downgrade(self);
        let ask = move || {
            let core = core.clone();
            async move { alive(&core)?.confirm_leadership(proof).await }
        };
        self.own_rounds.of(proof).join(ask).await
    }

    async fn confirm_leadership(&self, proof: Proof) -> Result<u64> {
        let patience = self.round_patience();
        self.counts.rounds.add();
        // The voters keep a lease for the longest election timeout after they have confirmed it;
        // four fifths of that leave room for clocks that differ. An older one takes a round.
        let age = match proof {
            Proof::Quorum => Duration::ZERO,
            Proof::Lease => self.election_timeout_max() * 4 / 5,
        };
        let option = LinearizerOption::new(Some(age), true);
        let confirmed = tokio::time::timeout(patience, self.raft.get_read_linearizer(option)).await;
        match confirmed {
            Ok(Ok(linearizer)) => Ok(linearizer.read_log_id().index()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => {
                Err(Error::unavailable("this node does not lead any more; retry"))
            }
            Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) | Err(_) => {
                Err(Error::unavailable("the leader does not reach a majority of the voters; retry"))
            }
            Ok(Err(RaftError::Fatal(fatal))) => {
                Err(Error::unavailable("this node has stopped").with_source(fatal))
            }
        }
    }

    async fn ask_leader(&self, proof: Proof) -> Result<u64> {
        let leader = self.leader();
        let (Leader::At(id, member), Some(transport)) = (&leader, &self.transport) else {
            return Err(Error::unavailable("the leader is changing; retry"));
        };
        let patience = self.round_patience();
        self.counts.rounds.add();
        let timeout_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        let to = peer(*id, member);
        let question = match proof {
            Proof::Quorum => Request::ReadIndex { timeout_ms },
            Proof::Lease => Request::LeaseIndex { timeout_ms },
        };
        let request = transport.request(&to, question, self.now() + patience);
        let answer = tokio::select! {
            answer = request => answer,
            () = self.leader_changed(&leader) => return Err(Error::unavailable("the leader is changing; retry")),
        };
        match answer {
            Ok(Response::ReadIndex(index)) => Ok(index),
            Ok(Response::Failed(failure)) => {
                Err(Error::unavailable(Error::from(failure).message()))
            }
            Ok(_) => Err(Error::internal(format!("{} answered something else", member.name))),
            Err(error) => Err(Error::unavailable(format!(
                "{} does not answer: {}",
                member.name,
                error.error()
            ))),
        }
    }

    /// One question must not outlive the leader it is asked of.
    fn round_patience(&self) -> Duration {
        self.election_timeout_max()
    }
}

/// A question holds the node weakly, since it may outlive the call that asked it.
fn alive(core: &Weak<Core>) -> Result<Arc<Core>> {
    core.upgrade().ok_or_else(|| Error::closed("the map is closed; open it again"))
}
