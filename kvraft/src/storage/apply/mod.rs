//! `Replica` is the state that commands change: the same on every node, whatever it runs on.
//!
//! Nothing here reads a clock, chance, the environment or the order of a hash map. A refusal that
//! all nodes share is an [`Outcome`]; an `Err` is this node's own damage and stops it.

mod lease;
mod write;

use std::sync::Arc;

use openraft::EntryPayload;

use crate::command::{Command, Origin, Outcome, Payload, Proposal, Rejection, RequestId, Settings};
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId, StoredMembership};
use crate::storage::change::{Changes, Revision};
use crate::storage::request::{Answered, fingerprint};
use crate::storage::row::{RequestKey, RowId};
use crate::storage::sample::Sample;
use crate::storage::state_disk::{Changed, Checkpoint, DiskView, Loaded};
use crate::storage::state_record::Founding;
use crate::storage::view::View;

/// The working state behind the published views.
pub(super) struct Replica {
    view: View,
    /// What of the small tables changed since the last freeze.
    changed: Changed,
    /// What of them the frozen part has yet to write.
    frozen_changed: Changed,
    /// What watchers are to be told.
    changes: Changes,
    /// How often a lock came to another holder, or was freed.
    lock_changes: u64,
    /// How many leases have ended by their time.
    leases_expired: u64,
    /// Whether the entry that is being applied asks for a sample.
    sample_due: bool,
    samples: Vec<Sample>,
    /// The newest format that this node knows. It decides nothing but whether the node goes on.
    known_level: u16,
}

impl Replica {
    /// Makes the replica of what is on the disk.
    ///
    /// # Errors
    /// `Refused` if that is of a newer format than `known_level`.
    pub(super) fn new(loaded: Loaded, known_level: u16) -> Result<Self> {
        if let Some(founding) = &loaded.meta.founding {
            check_level(founding.settings.format_level, known_level)?;
        }
        Ok(Self {
            view: View::new(loaded),
            changed: Changed::default(),
            frozen_changed: Changed::default(),
            changes: Changes::default(),
            lock_changes: 0,
            leases_expired: 0,
            sample_due: false,
            samples: Vec::new(),
            known_level,
        })
    }

    /// As [`new`](Self::new), in place of another, in which any lock may have had another holder.
    pub(super) fn following(loaded: Loaded, before: &Self) -> Result<Self> {
        let (lock_changes, leases_expired) = (before.lock_changes + 1, before.leases_expired);
        Ok(Self { lock_changes, leases_expired, ..Self::new(loaded, before.known_level)? })
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
        self.frozen_changed.absorb(std::mem::take(&mut self.changed));
        Checkpoint {
            entries: frozen,
            tables: self.view.tables.clone(),
            changed: self.frozen_changed.clone(),
            meta: self.view.meta.clone(),
        }
    }

    /// Forgets the frozen part: `disk` shows it.
    pub(super) fn thaw(&mut self, disk: Arc<dyn DiskView>) {
        self.view.layers.frozen = None;
        self.view.layers.disk = disk;
        self.frozen_changed = Changed::default();
    }

    /// Returns what has changed since the last call, for those who watch.
    pub(super) fn take_changes(&mut self) -> Vec<Revision> {
        self.changes.take()
    }

    /// Returns how often a lock has changed hands.
    pub(super) const fn lock_changes(&self) -> u64 {
        self.lock_changes
    }

    /// Returns how many leases have ended by their time, of those that were seen to.
    pub(super) const fn leases_expired(&self) -> u64 {
        self.leases_expired
    }

    /// Returns the samples since the last call.
    pub(super) fn take_samples(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.samples)
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
        // Here, where the state is what every replica has after this entry.
        if std::mem::take(&mut self.sample_due) {
            let (revision, hash) = (self.view.revision(), self.view.state_hash());
            self.samples.push(Sample { revision, hash });
        }
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
        self.view.meta.tables_hash = self.view.tables.hash();
        self.changes.seal(change.revision);
        Ok(outcome)
    }

    fn found(&mut self, command: &Command) -> Result<Outcome> {
        let &Command::Found { cluster_id, revision_base, settings } = command else {
            return Ok(Outcome::Rejected(Rejection::OutOfPlace));
        };
        check_level(settings.format_level, self.known_level)?;
        self.view.meta.founding = Some(Founding { cluster_id, revision_base, settings });
        Ok(Outcome::Done)
    }

    fn execute_once(
        &mut self,
        change: Change,
        origin: Origin,
        command: Command,
    ) -> Result<Outcome> {
        let sessions = &mut self.view.tables.sessions;
        let admitted = sessions.admit(&origin, self.view.meta.cluster_ms);
        if sessions.get(origin.session).is_some() {
            self.touch(RowId::Session(origin.session));
        }
        if let Err(outcome) = admitted {
            return Ok(outcome);
        }
        let outcome = self.execute(change, command)?;
        self.view.tables.sessions.record(&origin, &outcome, change.revision);
        Ok(outcome)
    }

    fn execute(&mut self, change: Change, command: Command) -> Result<Outcome> {
        let now_ms = self.view.meta.cluster_ms;
        match command {
            Command::Write { op, test } => return self.write(change, op, test.as_ref()),
            Command::Txn(txn) => return self.txn(change, txn),
            Command::DeleteRange { range } => return self.delete_range(change, &range),
            Command::Once { request, command } => return self.once(change, &request, *command),
            Command::GrantLease { ttl_ms } => return Ok(self.grant_lease(change, ttl_ms)),
            Command::KeepAlive { leases } => return Ok(self.keep_alive(&leases)),
            Command::RevokeLease { lease } => return self.revoke_lease(change, lease),
            Command::ExpireLeases { leases } => self.expire_leases(change, &leases)?,
            Command::Lock { name, lease, wait } => {
                return Ok(self.lock(change, &name, lease, wait));
            }
            Command::Unlock { name, lease } => return Ok(self.unlock(change, &name, lease)),
            Command::Verify => {
                self.sample_due = true;
                return Ok(Outcome::Sampled { revision: change.revision });
            }
            Command::Found { .. } => return Ok(Outcome::Rejected(Rejection::OutOfPlace)),
            Command::OpenSession { session } => {
                let outcome = self.view.tables.sessions.open(session, now_ms);
                self.touch(RowId::Session(session));
                return Ok(outcome);
            }
            Command::EndSession { session } => {
                self.view.tables.sessions.end(session);
                self.touch(RowId::Session(session));
            }
            Command::ExpireSessions { sessions } => {
                for (session, deadline) in sessions {
                    if self.view.tables.sessions.expire(session, deadline, now_ms) {
                        self.touch(RowId::Session(session));
                    }
                }
            }
            Command::ChangeSettings { settings } => {
                let format_level = change.founding.settings.format_level;
                self.settle(change, Settings { format_level, ..settings });
            }
            Command::RaiseFormat { level } => {
                check_level(level, self.known_level)?;
                let settings = change.founding.settings;
                let format_level = level.max(settings.format_level);
                self.settle(change, Settings { format_level, ..settings });
            }
        }
        Ok(Outcome::Done)
    }

    const fn settle(&mut self, change: Change, settings: Settings) {
        self.view.meta.founding = Some(Founding { settings, ..change.founding });
    }

    /// Applies a command unless its request was answered before; then gives that answer again.
    fn once(&mut self, change: Change, request: &RequestId, command: Command) -> Result<Outcome> {
        let now_ms = self.view.meta.cluster_ms;
        for key in self.view.tables.requests.forget(now_ms) {
            self.touch(RowId::Request(key));
        }
        let key = RequestKey::new(request);
        let fingerprint = fingerprint(&command.encode());
        if let Some(known) = self.view.tables.requests.get(&key) {
            if known.fingerprint != fingerprint {
                return Ok(Outcome::Rejected(Rejection::RequestReused));
            }
            return Ok(known.outcome.clone());
        }
        if let Err(rejection) = self.view.tables.requests.check_room() {
            return Ok(Outcome::Rejected(rejection));
        }
        let outcome = self.execute(change, command)?;
        // What was refused for want of room may be asked for again when there is some.
        if !matches!(outcome, Outcome::Rejected(rejection) if rejection.is_for_want_of_room()) {
            let answered = Answered { fingerprint, outcome: outcome.clone(), at_ms: now_ms };
            self.view.tables.requests.record(key.clone(), answered, change.revision);
            self.touch(RowId::Request(key));
        }
        Ok(outcome)
    }

    /// Notes that a row has to be written with the next checkpoint.
    fn touch(&mut self, row: RowId) {
        self.changed.rows.insert(row);
    }
}

/// What every command of one log entry goes by.
#[derive(Clone, Copy)]
struct Change {
    founding: Founding,
    revision: u64,
}

/// Stops a node that is too old for what the cluster decided.
fn check_level(level: u16, known: u16) -> Result<()> {
    if level <= known {
        return Ok(());
    }
    Err(Error::refused(format!(
        "the cluster writes format level {level} and this release of kvraft knows {known}: run a newer one on this \
         node"
    )))
}
