//! `Inspection` reads every byte that a node has stored, changes none, and says what is wrong.

use std::path::{Path, PathBuf};

use super::damage::Damage;
use super::dir::{check_readable, hold};
use super::generation::complete_generations;
use super::inspect_log::{LogFound, inspect_log};
use super::inspect_state::{StateFound, inspect_state};
use crate::error::{Error, Result};
use crate::identity::HexId;

/// What a data directory was found to hold.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    log: LogFound,
    state: StateFound,
    pub(crate) damage: Damage,
}

/// Reads a data directory that no node has open.
///
/// # Errors
/// `Refused` if it is in use, none, unfinished, or of a newer kvraft; `Storage` if it cannot be
/// read.
pub(crate) fn inspect(path: &Path) -> Result<Inspection> {
    let (path, lock) = hold(path)?;
    let inspection = inspect_held(&path);
    drop(lock);
    inspection
}

/// Reads a data directory that is held.
pub(super) fn inspect_held(path: &Path) -> Result<Inspection> {
    check_readable(path)?;
    let mut damage = Damage::default();
    let log = inspect_log(&path.join("log"), &mut damage)?;
    let state = inspect_state(&state_path(path)?, &mut damage)?;
    let mut inspection = Inspection { log, state, damage };
    inspection.compare();
    Ok(inspection)
}

/// Returns where the state is: its highest complete generation.
fn state_path(dir: &Path) -> Result<PathBuf> {
    let root = dir.join("state");
    let failed =
        |error| Error::storage(format!("cannot read {}", root.display())).with_source(error);
    // A directory whose birth was cut short has none yet, which is damage, if there is a log.
    let complete = complete_generations(&root).map_err(failed)?;
    Ok(root.join(complete.last().unwrap_or(&1).to_string()))
}

impl Inspection {
    /// Compares the two halves with each other: each may be whole, and of another node or time.
    fn compare(&mut self) {
        let (log, state) = (&self.log, &self.state);
        let Some(meta) = &state.meta else { return };
        let mut faults = Vec::new();
        match (&log.identity, state.owner) {
            (Some(identity), Some(owner)) if identity.node_id != owner => faults.push(format!(
                "the log is of node {}, the state of {}",
                HexId(identity.node_id),
                HexId(owner)
            )),
            (None, Some(_)) if !log.identity_is_damaged => {
                faults.push("the log has no identity".to_owned());
            }
            _ => {}
        }
        if let (Some(log), Some(founding)) = (log.cluster_id, meta.founding)
            && log != founding.cluster_id
        {
            let state = founding.cluster_id;
            faults.push(format!("the log is of cluster {log:032x}, the state of {state:032x}"));
        }
        let applied = meta.applied.map(|id| id.index);
        let last = log.last.or_else(|| log.purged.map(|id| id.index));
        if applied > last {
            faults.push(format!("the state is at {applied:?}, ahead of the log, at {last:?}"));
        }
        if log.purged.map(|id| id.index) > applied {
            let purged = log.purged.map(|id| id.index);
            faults.push(format!("the log begins behind {purged:?}, the state is at {applied:?}"));
        }
        for fault in faults {
            self.damage.add("log and state", fault);
        }
    }

    /// Returns whether the node had no other member beside it, as far as its state tells.
    pub(super) fn is_only_member(&self) -> bool {
        let members = self.state.meta.as_ref().map(|meta| meta.membership.membership().nodes());
        members.is_some_and(|members| members.count() == 1)
    }

    /// What was counted, in the order in which people read it.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let (log, state) = (&self.log, &self.state);
        let mut counts = vec![("log entries", log.entries), ("log records", log.records)];
        counts.extend(log.first.map(|first| ("first log entry", first)));
        if let Some((term, index)) = log.end() {
            counts.push(("last log term", term));
            counts.push(("last log entry", index));
        }
        counts.extend(log.purged.map(|id| ("log purged up to", id.index)));
        if let Some(meta) = &state.meta {
            let applied = meta.applied.map_or(0, |id| id.index);
            let base = meta.founding.map_or(0, |founding| founding.revision_base);
            counts.push(("state applied up to", applied));
            counts.push(("revision", base.saturating_add(applied)));
        }
        counts.extend([
            ("entries", state.entries),
            ("bytes", state.bytes),
            ("sessions", state.tables.sessions),
            ("leases", state.tables.leases),
            ("locks", state.tables.locks_held),
            ("request ids", state.tables.requests),
        ]);
        counts
    }

    /// Who it is, and the hash over all replicated state.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        if let Some(identity) = &self.log.identity {
            facts.push(("name", identity.name.clone()));
            facts.push(("node", HexId(identity.node_id).to_string()));
        }
        if let Some(meta) = &self.state.meta {
            let cluster = meta.founding.map(|founding| founding.cluster_id);
            facts.extend(cluster.map(|id| ("cluster", format!("{id:032x}"))));
            facts.push(("state hash", HexId(meta.state_hash()).to_string()));
        }
        facts
    }
}
