//! `Sessions` remember what was applied, so that asking again never applies it twice.

use bytes::BufMut;
use imbl::OrdMap;

use crate::codec::{Decoded, Reader, Writer};
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
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.put_u64(self.last_ms);
        out.put_u64(self.done_below);
        out.put_list(self.outcomes.iter(), |out, (sequence, outcome)| {
            out.put_u64(*sequence);
            outcome.encode(out);
        });
        out
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            last_ms: reader.u64()?,
            done_below: reader.u64()?,
            outcomes: reader.list(|r| Ok((r.u64()?, Outcome::decode(r)?)))?.into_iter().collect(),
        })
    }

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

    pub(super) fn count(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    /// Returns the first session behind `after`, in the order of ids.
    pub(super) fn next(&self, after: Option<SessionId>) -> Option<SessionId> {
        use std::ops::Bound;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_id.range((start, Bound::Unbounded)).next().map(|(id, _)| *id)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::OpResult;

    const ID: SessionId = SessionId(7);

    fn origin(sequence: u64, done_below: u64) -> Origin {
        Origin { session: ID, sequence, done_below }
    }

    fn put(revision: u64) -> Outcome {
        Outcome::Written { revision, result: OpResult::Put { replaced: false, previous: None } }
    }

    /// Admits and records like apply does.
    fn run(sessions: &mut Sessions, origin: Origin, revision: u64) -> Outcome {
        match sessions.admit(&origin, revision) {
            Ok(()) => {
                sessions.record(&origin, &put(revision), revision);
                put(revision)
            }
            Err(outcome) => outcome,
        }
    }

    fn opened() -> Sessions {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.open(ID, 0), Outcome::Done);
        sessions
    }

    fn rejected(rejection: Rejection) -> Outcome {
        Outcome::Rejected(rejection)
    }

    #[test]
    fn sequences_execute_in_any_order_and_each_once() {
        let mut sessions = opened();
        for (revision, sequence) in [(10, 3), (11, 1), (12, 2)] {
            assert_eq!(run(&mut sessions, origin(sequence, 1), revision), put(revision));
        }
        assert_eq!(run(&mut sessions, origin(3, 1), 20), put(10));
        assert_eq!(run(&mut sessions, origin(1, 1), 21), put(11));
    }

    #[test]
    fn a_sequence_below_done_is_stale_even_if_it_was_never_seen() {
        let mut sessions = opened();
        run(&mut sessions, origin(5, 5), 10);
        assert_eq!(run(&mut sessions, origin(4, 1), 11), rejected(Rejection::Stale));
        assert_eq!(run(&mut sessions, origin(5, 5), 12), put(10));
    }

    #[test]
    fn done_below_never_goes_back_and_forgets_what_is_below() {
        let mut sessions = opened();
        run(&mut sessions, origin(1, 1), 10);
        run(&mut sessions, origin(2, 2), 11);
        run(&mut sessions, origin(3, 1), 12);
        let session = sessions.get(ID).unwrap();
        assert_eq!(session.done_below, 2);
        assert_eq!(session.outcomes.keys().copied().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn an_unknown_session_never_executes() {
        let mut sessions = Sessions::default();
        let expired = rejected(Rejection::SessionExpired);
        assert_eq!(run(&mut sessions, origin(1, 1), 1), expired);
        sessions.open(ID, 0);
        sessions.end(ID);
        assert_eq!(run(&mut sessions, origin(1, 1), 1), expired);
    }

    #[test]
    fn unfinished_commands_are_bounded_until_some_are_done() {
        let mut sessions = opened();
        for sequence in 1..=MAX_UNFINISHED as u64 {
            run(&mut sessions, origin(sequence, 1), sequence);
        }
        let next = MAX_UNFINISHED as u64 + 1;
        assert_eq!(run(&mut sessions, origin(next, 1), next), rejected(Rejection::OutOfPlace));
        assert_eq!(run(&mut sessions, origin(next, 2), next), put(next));
    }

    #[test]
    fn a_session_expires_only_by_its_own_deadline_and_each_command_renews_it() {
        let mut sessions = opened();
        assert_eq!(sessions.expired(SESSION_TTL_MS - 1, 9), []);
        assert_eq!(sessions.expired(SESSION_TTL_MS, 9), [(ID, SESSION_TTL_MS)]);
        run(&mut sessions, origin(1, 1), 100);
        assert!(!sessions.expire(ID, SESSION_TTL_MS, SESSION_TTL_MS + 50));
        assert!(!sessions.expire(ID, SESSION_TTL_MS + 100, SESSION_TTL_MS + 99));
        assert!(sessions.expire(ID, SESSION_TTL_MS + 100, SESSION_TTL_MS + 100));
        assert_eq!(sessions.next(None), None);
        assert_eq!(sessions.hash(), 0);
    }

    #[test]
    fn opening_twice_changes_nothing_and_their_number_is_bounded() {
        let mut sessions = opened();
        run(&mut sessions, origin(1, 1), 10);
        let hash = sessions.hash();
        assert_eq!(sessions.open(ID, 99), Outcome::Done);
        assert_eq!(sessions.hash(), hash);
        for id in 1..u128::from(MAX_SESSIONS) {
            assert_eq!(sessions.open(SessionId(id << 64), 0), Outcome::Done);
        }
        assert_eq!(sessions.open(SessionId(8), 0), rejected(Rejection::TooManySessions));
    }

    #[test]
    fn the_hash_of_changed_sessions_is_that_of_the_same_sessions_read_again() {
        let mut sessions = opened();
        for sequence in 1..20 {
            run(&mut sessions, origin(sequence, sequence.saturating_sub(5)), sequence);
        }
        let mut again = Sessions::default();
        again.insert(ID, sessions.get(ID).unwrap().clone());
        assert_eq!(again.hash(), sessions.hash());
        assert_ne!(again.hash(), opened().hash());
    }
}
