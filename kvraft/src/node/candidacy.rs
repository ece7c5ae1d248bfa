//! Candidacy: when this node asks for votes, and who may take its office.
//!
//! A node whose state is wrong leaves the office to others, as long as there are others. Its log and
//! its votes are sound: where nobody else can be elected it leads at last, answers no write, and
//! hands over to the first voter that is in service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;

use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::proposal::peer;
use crate::transport::{PeerMember, Query, Request, Response};

/// How many of the longest silences of a leader a node that is out waits for another candidate.
const LAST_RESORT: u32 = 5;
/// How long another voter has to say whether it is in service.
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// What a member says of its own state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    InService,
    /// It fetches another.
    Out,
    /// It did not answer, or is of a release that does not say so.
    Silent,
}

impl Core {
    /// Lets this node campaign when it may, and only then, until it ends.
    pub(super) async fn keep_candidacy(self: Arc<Self>) {
        let mut health = self.integrity.changes();
        let mut heard = self.now();
        loop {
            if !self.integrity.is_out() || self.hears_of_leader() {
                heard = self.now();
            }
            let may = self.may_campaign(heard);
            self.raft.runtime_config().elect(may);
            let next = self.next_look();
            tokio::select! {
                // The sender lives as long as `self`.
                changed = health.changed() => drop(changed),
                () = async {
                    match next {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => std::future::pending().await,
                    }
                } => {}
                _ = self.life.ended() => return,
            }
        }
    }

    fn may_campaign(&self, heard: Instant) -> bool {
        if self.now() < self.held_until {
            return false;
        }
        let patience = self.election_timeout_max() * LAST_RESORT;
        !self.integrity.is_out()
            || self.is_only_voter()
            || self.now().saturating_duration_since(heard) >= patience
    }

    /// Returns after how long time alone may change who campaigns: the clock of the environment need
    /// not be the one by which tasks sleep.
    fn next_look(&self) -> Option<Duration> {
        let held = self.held_until.saturating_duration_since(self.now());
        if !held.is_zero() {
            return Some(held);
        }
        self.integrity.is_out().then(|| self.election_timeout_max())
    }

    /// Returns whether there is a leader, as far as this node can tell. While it holds the entries
    /// of one back it hears of none, and the source of its state would fall silent without one.
    fn hears_of_leader(&self) -> bool {
        self.leads()
            || self.intake.is_held()
            || self.contact.is_fresh(self.now(), self.election_timeout_max() * 2)
    }

    /// Returns once this node leads.
    pub(super) async fn elected(&self) {
        let mut metrics = self.raft.server_metrics();
        while !self.leads() {
            if metrics.changed().await.is_err() {
                // Raft has stopped: this node leads nobody any more.
                return std::future::pending().await;
            }
        }
    }

    fn is_only_voter(&self) -> bool {
        let own = self.node_id();
        let mut voters = self.known_peers().members;
        voters.retain(|member| member.voter);
        voters.iter().map(|member| member.node_id).eq([own])
    }

    /// Returns the other members as raft has them now. What it tells unasked is empty in the first
    /// moment after a start.
    pub(super) async fn others_now(&self) -> Result<Vec<PeerMember>> {
        let own = self.node_id();
        let members = self.raft.with_raft_state(move |state| {
            let effective = state.membership_state.effective().membership().clone();
            let voters: BTreeSet<u64> = effective.voter_ids().collect();
            let others = effective.nodes().filter(|(id, _)| **id != own);
            let others = others.map(|(id, member)| PeerMember {
                node_id: *id,
                voter: voters.contains(id),
                member: member.clone(),
            });
            others.collect::<Vec<_>>()
        });
        members
            .await
            .map_err(|fatal| Error::unavailable("this node has stopped").with_source(fatal))
    }

    /// Asks members whether their state is in service, all at once.
    pub(super) async fn standings(&self, members: &[PeerMember]) -> Vec<Standing> {
        join_all(members.iter().map(|member| self.standing(member))).await
    }

    pub(super) async fn standing(&self, member: &PeerMember) -> Standing {
        let Some(transport) = &self.transport else { return Standing::Silent };
        // No sample is of revision 0: a state in service is told to have none.
        let query = Query::StateHash { revision: 0, timeout: ANSWER_PATIENCE };
        let to = peer(member.node_id, &member.member);
        let deadline = self.now() + ANSWER_PATIENCE;
        match transport.request(&to, Request::Query(query), deadline).await {
            Ok(Response::Answer(_)) => Standing::InService,
            Ok(Response::Failed(failure)) => standing_of(Error::from(failure).kind()),
            Ok(_) => Standing::Silent,
            // An earlier release has no words for it, and so none for being out of service.
            Err(error) => standing_of(error.error().kind()),
        }
    }
}

fn standing_of(kind: ErrorKind) -> Standing {
    if kind == ErrorKind::Corrupt {
        Standing::Out
    } else if kind == ErrorKind::Refused {
        Standing::InService
    } else {
        Standing::Silent
    }
}
