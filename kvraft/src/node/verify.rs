//! Every member compares its state with those of the others, whenever all were sampled.

use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::integrity::Health;
use crate::error::Result;
use crate::identity::HexId;
use crate::options::{Verdict, Verification};
use crate::proposal::{compare, no_sample};

impl Core {
    /// Judges the own state at each new sample, until the node ends.
    pub(super) async fn compare_states(self: Arc<Self>) {
        let mut samples = self.state.samples();
        loop {
            tokio::select! {
                // The sender lives in the state, which `self` holds.
                changed = samples.changed() => drop(changed),
                _ = self.life.ended() => return,
            }
            let newest = samples.borrow_and_update().newest();
            let Some(sample) = newest else { continue };
            let verification = tokio::select! {
                compared = compare(&*self, sample.revision) => compared,
                _ = self.life.ended() => return,
            };
            self.judge(&verification);
        }
    }

    /// Takes this node out if a majority of the voters has another state, and raises an alarm if
    /// states differ and none has a majority.
    fn judge(&self, verification: &Verification) {
        let revision = verification.revision;
        let own = HexId(self.node_id()).to_string();
        match verification.verdict() {
            Verdict::Agreed => self.integrity.note(Health::Sound),
            Verdict::Diverged if verification.diverged().any(|member| member.node_id == own) => {
                let why = format!(
                    "at revision {revision} its state was not that of the majority of the voters"
                );
                tracing::error!(
                    revision,
                    "the state of this node differs from that of the majority: it is fetched anew"
                );
                self.integrity.note(Health::Out(why.into()));
            }
            Verdict::Diverged => {
                let names: Vec<_> = verification.diverged().map(|m| m.name.as_str()).collect();
                tracing::warn!(
                    revision,
                    members = names.join(", "),
                    "the state of a member differs from that of the majority"
                );
                self.integrity.note(Health::Sound);
            }
            Verdict::Split => {
                let why = format!(
                    "at revision {revision} the states of the members differed, and none was that of a majority of \
                     the voters: compare them, and refill those that are wrong"
                );
                tracing::error!(
                    revision,
                    "the states of the members differ, and none has a majority"
                );
                self.integrity.note(Health::Suspect(why.into()));
            }
            Verdict::Unknown => {
                tracing::debug!(revision, "too few members could be compared");
            }
        }
    }

    /// Returns the hash of the own state at a revision at which all were sampled.
    pub(super) async fn hash_at(&self, revision: u64, deadline: Instant) -> Result<u64> {
        let samples = self.state.samples();
        let hash = || samples.borrow().hash_at(revision);
        if let Some(hash) = hash() {
            return Ok(hash);
        }
        self.integrity.check_hash()?;
        tokio::select! {
            applied = self.wait_applied(self.index_of(revision), deadline) => applied?,
            // Nothing is applied to a state that is wrong.
            why = self.integrity.went_out() => return Err(why),
        }
        hash().ok_or_else(|| no_sample(revision))
    }
}
