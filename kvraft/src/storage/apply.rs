//! `Replica` is the state that commands change: the same on every node, whatever it runs on.
//!
//! Nothing here reads a clock, chance, the environment or the order of a hash map. A refusal that
//! all nodes share is an [`Outcome`]; an `Err` is this node's own damage and stops it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use openraft::EntryPayload;

use crate::command::{
    Command, FORMAT_LEVEL, Found, Op, OpResult, Origin, Outcome, Payload, Proposal, Rejection,
    SessionId, Settings,
};
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId, StoredMembership};
use crate::storage::buffer::Slot;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded};
use crate::storage::state_record::{Founding, Head, Record};
use crate::storage::view::View;

/// The working state behind the published views.
pub(super) struct Replica {
    view: View,
    /// Sessions that changed since the last freeze.
    changed: BTreeSet<SessionId>,
    /// Sessions that the frozen part has yet to write.
    frozen_changed: BTreeSet<SessionId>,
}

impl Replica {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self { view: View::new(loaded), changed: BTreeSet::new(), frozen_changed: BTreeSet::new() }
    }

    /// Returns the state as it is now, never to change again.
    pub(super) fn view(&self) -> View {
        self.view.clone()
    }

    pub(super) const fn applied(&self) -> Option<LogId> {
        self.view.applied()
    }

    pub(super) fn active_bytes(&self) -> usize {
        self.view.layers.active.bytes()
    }

    pub(super) fn buffer_bytes(&self) -> usize {
        self.view.layers.buffer_bytes()
    }

    pub(super) const fn is_frozen(&self) -> bool {
        self.view.layers.frozen.is_some()
    }

    /// Sets the changes aside for a checkpoint; reads still see them.
    ///
    /// If a frozen part could not be written before, the newer changes are laid over it: what
    /// they delete makes room for the rest.
    pub(super) fn freeze(&mut self) -> Checkpoint {
        let layers = &mut self.view.layers;
        let mut frozen = layers.frozen.take().unwrap_or_default();
        frozen.absorb(std::mem::take(&mut layers.active));
        layers.frozen = Some(frozen.clone());
        self.frozen_changed.append(&mut self.changed);
        Checkpoint {
            entries: frozen,
            sessions: self.view.sessions.clone(),
            changed: self.frozen_changed.iter().copied().collect(),
            meta: self.view.meta.clone(),
        }
    }

    /// Forgets the frozen part: `disk` shows it.
    pub(super) fn thaw(&mut self, disk: Arc<dyn DiskView>) {
        self.view.layers.frozen = None;
        self.view.layers.disk = disk;
        self.frozen_changed.clear();
    }

    /// Applies one committed entry.
    ///
    /// # Errors
    /// The entry cannot be decoded or the disk gave damaged bytes: the replica must not be used
    /// any further.
    pub(super) fn apply(&mut self, entry: Entry) -> Result<Outcome> {
        let log_id = entry.log_id;
        let outcome = match entry.payload {
            EntryPayload::Blank => Outcome::Done,
            EntryPayload::Membership(membership) => {
                self.view.meta.membership =
                    Arc::new(StoredMembership::new(Some(log_id), membership));
                Outcome::Done
            }
            EntryPayload::Normal(payload) => self.apply_payload(log_id.index, &payload)?,
        };
        self.view.meta.applied = Some(log_id);
        Ok(outcome)
    }

    fn apply_payload(&mut self, index: u64, payload: &Payload) -> Result<Outcome> {
        let undecodable = |error| {
            Error::corrupt(format!(
                "log entry {index} was committed but cannot be decoded: run a newer kvraft on \
                 this node, or let it fetch its state from the others"
            ))
            .with_source(error)
        };
        let proposal = payload.proposal().map_err(undecodable)?;
        self.apply_proposal(index, proposal)
            .map_err(|error| error.context(format_args!("cannot apply log entry {index}")))
    }

    fn apply_proposal(&mut self, index: u64, proposal: Proposal) -> Result<Outcome> {
        let Proposal { stamp, origin, command } = proposal;
        let meta = &mut self.view.meta;
        meta.cluster_ms = meta.cluster_ms.max(stamp.cluster_ms);
        meta.wall_ms = stamp.wall_ms;
        let Some(founding) = meta.founding else {
            return self.found(&command);
        };
        let change = Change { founding, revision: founding.revision_base.saturating_add(index) };
        let outcome = match origin {
            Some(origin) => self.execute_once(change, origin, command)?,
            None => self.execute(change, command)?,
        };
        self.view.meta.sessions_hash = self.view.sessions.hash();
        Ok(outcome)
    }

    fn found(&mut self, command: &Command) -> Result<Outcome> {
        let &Command::Found { cluster_id, revision_base, settings } = command else {
            return Ok(Outcome::Rejected(Rejection::OutOfPlace));
        };
        check_level(&settings)?;
        self.view.meta.founding = Some(Founding { cluster_id, revision_base, settings });
        Ok(Outcome::Done)
    }

    fn execute_once(
        &mut self,
        change: Change,
        origin: Origin,
        command: Command,
    ) -> Result<Outcome> {
        let admitted = self.view.sessions.admit(&origin, self.view.meta.cluster_ms);
        if self.view.sessions.get(origin.session).is_some() {
            self.changed.insert(origin.session);
        }
        if let Err(outcome) = admitted {
            return Ok(outcome);
        }
        let outcome = self.execute(change, command)?;
        self.view.sessions.record(&origin, &outcome, change.revision);
        Ok(outcome)
    }

    fn execute(&mut self, change: Change, command: Command) -> Result<Outcome> {
        let now_ms = self.view.meta.cluster_ms;
        match command {
            Command::Found { .. } => return Ok(Outcome::Rejected(Rejection::OutOfPlace)),
            Command::Write { op, .. } => return self.write(change, op),
            Command::OpenSession { session } => {
                let outcome = self.view.sessions.open(session, now_ms);
                self.changed.insert(session);
                return Ok(outcome);
            }
            Command::EndSession { session } => {
                self.view.sessions.end(session);
                self.changed.insert(session);
            }
            Command::ExpireSessions { sessions } => {
                for (session, deadline) in sessions {
                    if self.view.sessions.expire(session, deadline, now_ms) {
                        self.changed.insert(session);
                    }
                }
            }
            Command::ChangeSettings { settings } => {
                check_level(&settings)?;
                let level = settings.format_level.max(change.founding.settings.format_level);
                let settings = Settings { format_level: level, ..settings };
                self.view.meta.founding = Some(Founding { settings, ..change.founding });
            }
            _ => return Ok(Outcome::Rejected(Rejection::OutOfPlace)),
        }
        Ok(Outcome::Done)
    }

    fn write(&mut self, change: Change, op: Op) -> Result<Outcome> {
        match op {
            Op::Put { key, value, .. } => self.put(change, key, value),
            Op::Delete { key, .. } => self.delete(change, key),
            _ => Ok(Outcome::Rejected(Rejection::OutOfPlace)),
        }
    }

    fn put(&mut self, change: Change, key: Bytes, value: Bytes) -> Result<Outcome> {
        let Settings { storage_limit_bytes, max_value_bytes, .. } = change.founding.settings;
        if value.len() as u64 > u64::from(max_value_bytes) {
            let limit = max_value_bytes;
            return Ok(Outcome::Rejected(Rejection::ValueTooLarge { limit }));
        }
        let old = self.view.layers.head(&key)?;
        let used = self.view.meta.bytes;
        let old_bytes = old.map_or(0, |head| entry_bytes(&key, head.value_bytes));
        let new_bytes = entry_bytes(&key, value.len() as u64);
        let used_then = used.wrapping_sub(old_bytes).wrapping_add(new_bytes);
        if new_bytes > old_bytes && used_then > storage_limit_bytes {
            let limit = storage_limit_bytes;
            return Ok(Outcome::Rejected(Rejection::Full { used, limit }));
        }
        let created = old.map_or(change.revision, |head| head.created);
        let record =
            Record::new(&key, Found { value, revision: change.revision, created, lease: 0 });
        self.forget(&key, old);
        let meta = &mut self.view.meta;
        meta.len += 1;
        meta.bytes += new_bytes;
        meta.entries_hash = meta.entries_hash.wrapping_add(record.head().hash());
        self.view.layers.active.insert(key, Slot::Put(record));
        Ok(Outcome::Written {
            revision: change.revision,
            result: OpResult::Put { replaced: old.is_some(), previous: None },
        })
    }

    fn delete(&mut self, change: Change, key: Bytes) -> Result<Outcome> {
        let old = self.view.layers.head(&key)?;
        if old.is_some() {
            self.forget(&key, old);
            self.view.layers.active.insert(key, Slot::Tombstone);
        }
        Ok(Outcome::Written {
            revision: change.revision,
            result: OpResult::Deleted { existed: old.is_some(), previous: None },
        })
    }

    /// Takes an entry that is about to go out of the counters.
    fn forget(&mut self, key: &[u8], old: Option<Head>) {
        let Some(head) = old else { return };
        let meta = &mut self.view.meta;
        meta.len = meta.len.wrapping_sub(1);
        meta.bytes = meta.bytes.wrapping_sub(entry_bytes(key, head.value_bytes));
        meta.entries_hash = meta.entries_hash.wrapping_sub(head.hash());
    }
}

/// What every command of one log entry goes by.
#[derive(Clone, Copy)]
struct Change {
    founding: Founding,
    revision: u64,
}

const fn entry_bytes(key: &[u8], value_bytes: u64) -> u64 {
    key.len() as u64 + value_bytes
}

/// Stops a node that is too old for what the cluster decided.
fn check_level(settings: &Settings) -> Result<()> {
    if settings.format_level <= FORMAT_LEVEL {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "the cluster moved to format level {} but this node knows {FORMAT_LEVEL}: run a newer \
         kvraft on it",
        settings.format_level
    )))
}
