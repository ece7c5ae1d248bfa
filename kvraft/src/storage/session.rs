//! `Sessions` remember what was applied, so that asking again never applies it twice.

use imbl::OrdMap;

use crate::command::{
    MAX_SESSIONS, MAX_STORED_OUTCOME_BYTES, MAX_UNFINISHED, Origin, Outcome, Rejection,
    SESSION_TTL_MS, SessionId,
};
use crate::storage::state_record::mix64;

/// One start of one process, and the outcomes that it may still ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Cluster time of its last command.
    pub(super) last_ms: u64,
    /// Every sequence below is finished and forgotten.
    pub(super) done_below: u64,
    pub(super) outcomes: OrdMap<u64, Outcome>,
}

impl Session {
    const fn deadline(&self) -> u64 {
        self.last_ms.saturating_add(SESSION_TTL_MS)
    }

    fn head_hash(&self, id: SessionId) -> u64 {
        hash_numbers(id, &[self.last_ms, self.done_below])
    }

    fn hash(&self, id: SessionId) -> u64 {
        self.outcomes.iter().fold(self.head_hash(id), |sum, (sequence, outcome)| {
            sum.wrapping_add(outcome_hash(id, *sequence, outcome))
        })
    }
}

/// All sessions. Cheap to clone: a view and a checkpoint share what did not change.
#[derive(Debug, Clone, Default)]
pub(super) struct Sessions {
    by_id: OrdMap<SessionId, Session>,
    hash: u64,
}

impl Sessions {
    /// Returns the hash over all sessions, kept up with every change.
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    /// Returns the first session behind `after`, in the order of ids.
    pub(super) fn next(&self, after: Option<SessionId>) -> Option<(SessionId, &Session)> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (id, session) = self.by_id.range((start, Bound::Unbounded)).next()?;
        Some((*id, session))
    }

    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Puts a session that was read from a disk or a snapshot in its place.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.hash = self.hash.wrapping_add(session.hash(id));
        if let Some(old) = self.by_id.insert(id, session) {
            self.hash = self.hash.wrapping_sub(old.hash(id));
        }
    }

    /// Opens a session; opening it again changes nothing.
    pub(super) fn open(&mut self, id: SessionId, now_ms: u64) -> Outcome {
        if self.by_id.contains_key(&id) {
            return Outcome::Done;
        }
        if self.by_id.len() as u64 >= MAX_SESSIONS {
            return Outcome::Rejected(Rejection::TooManySessions);
        }
        self.insert(id, Session { last_ms: now_ms, done_below: 0, outcomes: OrdMap::new() });
        Outcome::Done
    }

    pub(super) fn end(&mut self, id: SessionId) {
        if let Some(old) = self.by_id.remove(&id) {
            self.hash = self.hash.wrapping_sub(old.hash(id));
        }
    }

    /// Ends the session if the named deadline is still its own and has passed.
    pub(super) fn expire(&mut self, id: SessionId, deadline: u64, now_ms: u64) -> bool {
        let due = self
            .by_id
            .get(&id)
            .is_some_and(|session| session.deadline() == deadline && deadline <= now_ms);
        if due {
            self.end(id);
        }
        due
    }

    /// Returns at most `limit` sessions whose deadline has passed, each with that deadline.
    pub(super) fn expired(&self, now_ms: u64, limit: usize) -> Vec<(SessionId, u64)> {
        self.by_id
            .iter()
            .map(|(id, session)| (*id, session.deadline()))
            .filter(|(_, deadline)| *deadline <= now_ms)
            .take(limit)
            .collect()
    }

    /// Decides whether the command of `origin` executes; if not, returns what it is told.
    ///
    /// Sequences come in any order, since pipelining reorders them: only what is recorded or
    /// declared done is known to have been here.
    pub(super) fn admit(&mut self, origin: &Origin, now_ms: u64) -> Result<(), Outcome> {
        let id = origin.session;
        let Some(session) = self.by_id.get_mut(&id) else {
            return Err(Outcome::Rejected(Rejection::SessionExpired));
        };
        let stale = origin.sequence < session.done_below;
        let recorded = session.outcomes.get(&origin.sequence).cloned();
        let mut hash = self.hash.wrapping_sub(session.head_hash(id));
        session.last_ms = session.last_ms.max(now_ms);
        session.done_below = session.done_below.max(origin.done_below);
        while let Some((sequence, _)) = session.outcomes.get_min()
            && *sequence < session.done_below
        {
            let sequence = *sequence;
            if let Some(outcome) = session.outcomes.remove(&sequence) {
                hash = hash.wrapping_sub(outcome_hash(id, sequence, &outcome));
            }
        }
        self.hash = hash.wrapping_add(session.head_hash(id));
        if stale {
            return Err(Outcome::Rejected(Rejection::Stale));
        }
        if let Some(outcome) = recorded {
            return Err(outcome);
        }
        if session.outcomes.len() >= MAX_UNFINISHED {
            // Its outcome could not be kept, and a retry would apply it a second time.
            return Err(Outcome::Rejected(Rejection::OutOfPlace));
        }
        Ok(())
    }

    /// Keeps the outcome of an executed command for those who ask again.
    pub(super) fn record(&mut self, origin: &Origin, outcome: &Outcome, revision: u64) {
        let id = origin.session;
        // A command may have ended its own session.
        let Some(session) = self.by_id.get_mut(&id) else { return };
        if matches!(outcome, Outcome::Rejected(Rejection::OutOfPlace)) {
            return;
        }
        if origin.sequence < session.done_below {
            return;
        }
        let kept = match encoded(outcome).len() {
            0..=MAX_STORED_OUTCOME_BYTES => outcome.clone(),
            _ => Outcome::AppliedAt { revision },
        };
        self.hash = self.hash.wrapping_add(outcome_hash(id, origin.sequence, &kept));
        session.outcomes.insert(origin.sequence, kept);
    }
}

fn encoded(outcome: &Outcome) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    outcome.encode(&mut out);
    out
}

fn outcome_hash(id: SessionId, sequence: u64, outcome: &Outcome) -> u64 {
    hash_numbers(id, &[sequence, u64::from(crc32c::crc32c(&encoded(outcome))), 1])
}

fn hash_numbers(id: SessionId, numbers: &[u64]) -> u64 {
    let [high, low] = [(id.0 >> 64) as u64, id.0 as u64];
    numbers.iter().fold(mix64(mix64(high) ^ low), |hash, number| mix64(hash ^ number))
}
