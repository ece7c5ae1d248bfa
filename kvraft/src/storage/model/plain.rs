//! `Model` does what commands mean, in the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds as _;

use bytes::Bytes;

use super::SETTINGS;
use crate::command::{
    Attach, Command, Found, Op, OpResult, Outcome, Rejection, Relation, RequestId, Test, Txn,
};

/// The whole state, without layers.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) now_ms: u64,
    pub(super) entries: BTreeMap<Bytes, Found>,
    pub(super) leases: BTreeMap<u64, MLease>,
    last_lease: u64,
    /// Token, then holder and waiters.
    pub(super) locks: BTreeMap<Bytes, (u64, Vec<u64>)>,
    requests: BTreeMap<RequestId, (Command, Outcome)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MLease {
    pub(super) ttl_ms: u64,
    pub(super) expire_at: u64,
    of_key: bool,
}

impl Model {
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|(key, found)| (key.len() + found.value.len()) as u64).sum()
    }

    pub(super) fn keys_of(&self, lease: u64) -> Vec<Bytes> {
        let of = |(key, found): (&Bytes, &Found)| (found.lease == lease).then(|| key.clone());
        self.entries.iter().filter_map(of).collect()
    }

    pub(super) fn expired(&self) -> Vec<(u64, u64)> {
        let due = self.leases.iter().filter(|(_, lease)| lease.expire_at <= self.now_ms);
        due.map(|(id, lease)| (*id, lease.expire_at)).collect()
    }

    pub(super) fn apply(&mut self, revision: u64, command: &Command) -> Outcome {
        let done = match command {
            Command::Write { op, test } => self.write(revision, op, test.as_ref()),
            Command::Txn(txn) => self.txn(revision, txn),
            Command::DeleteRange { range } => {
                let before = self.entries.len();
                self.entries.retain(|key, _| !range.contains(key));
                let deleted = (before - self.entries.len()) as u64;
                Ok(Outcome::RangeDeleted { revision, deleted })
            }
            Command::GrantLease { ttl_ms } => {
                Ok(Outcome::LeaseGranted { lease: self.grant(revision, *ttl_ms, false) })
            }
            Command::KeepAlive { leases } => {
                let mut gone = Vec::new();
                for id in leases {
                    match self.leases.get_mut(id) {
                        Some(lease) => {
                            lease.expire_at = lease.expire_at.max(self.now_ms + lease.ttl_ms);
                        }
                        None => gone.push(*id),
                    }
                }
                Ok(Outcome::KeptAlive { gone })
            }
            Command::RevokeLease { lease } => {
                if self.leases.contains_key(lease) {
                    self.end(revision, *lease);
                    Ok(Outcome::LeaseRevoked { keys_left: 0 })
                } else {
                    Err(Rejection::LeaseNotFound { lease: *lease })
                }
            }
            Command::ExpireLeases { leases } => {
                for (id, deadline) in leases {
                    let due = |lease: &MLease| lease.expire_at == *deadline;
                    if self.leases.get(id).is_some_and(due) && *deadline <= self.now_ms {
                        self.end(revision, *id);
                    }
                }
                Ok(Outcome::Done)
            }
            Command::Lock { name, lease, wait } => self.lock(revision, name, *lease, *wait),
            Command::Unlock { name, lease } => {
                if self.locks.get(name).is_some_and(|(_, leases)| leases.contains(lease)) {
                    self.leave(revision, name, *lease);
                    Ok(Outcome::Done)
                } else {
                    Err(Rejection::NotLockHolder)
                }
            }
            Command::Once { request, command } => Ok(self.once(revision, request, command)),
            Command::Verify => Ok(Outcome::Sampled { revision }),
            Command::Found { .. }
            | Command::OpenSession { .. }
            | Command::EndSession { .. }
            | Command::ExpireSessions { .. }
            | Command::ChangeSettings { .. }
            | Command::RaiseFormat { .. } => panic!("{command:?} is not for the model"),
        };
        // A lease of one key goes with it.
        let used: BTreeSet<_> = self.entries.values().map(|found| found.lease).collect();
        self.leases.retain(|id, lease| !lease.of_key || used.contains(id));
        done.unwrap_or_else(Outcome::Rejected)
    }

    fn once(&mut self, revision: u64, request: &RequestId, command: &Command) -> Outcome {
        if let Some((known, outcome)) = self.requests.get(request) {
            let same = known == command;
            return if same {
                outcome.clone()
            } else {
                Outcome::Rejected(Rejection::RequestReused)
            };
        }
        let outcome = self.apply(revision, command);
        if !matches!(outcome, Outcome::Rejected(Rejection::Full { .. })) {
            self.requests.insert(request.clone(), (command.clone(), outcome.clone()));
        }
        outcome
    }

    fn write(&mut self, revision: u64, op: &Op, test: Option<&Test>) -> Result<Outcome, Rejection> {
        let old = self.entries.get(op.key());
        if test.is_some_and(|test| !holds(test, old)) {
            return Err(Rejection::Conflict { revision: old.map_or(0, |old| old.revision) });
        }
        let results = self.run(revision, std::slice::from_ref(op));
        let mut results = results.map_err(|(_, rejection)| rejection)?;
        Ok(Outcome::Written { revision, result: results.remove(0) })
    }

    fn txn(&mut self, revision: u64, txn: &Txn) -> Result<Outcome, Rejection> {
        let succeeded = txn.compares.iter().all(|c| holds(&c.test, self.entries.get(&c.key)));
        let ops = if succeeded { &txn.then } else { &txn.otherwise };
        match self.run(revision, ops) {
            Ok(results) => Ok(Outcome::Txn { revision, succeeded, results }),
            Err((None, rejection)) => Err(rejection),
            Err((Some(step), rejection)) => {
                Ok(Outcome::StepRejected { succeeded, step, rejection })
            }
        }
    }

    /// Runs steps on a copy, which replaces the state if nothing forbids it; says which step it is
    /// that does, if it is one alone.
    fn run(
        &mut self,
        revision: u64,
        ops: &[Op],
    ) -> Result<Vec<OpResult>, (Option<u32>, Rejection)> {
        let mut then = self.clone();
        let mut unknown = None;
        let mut results = Vec::new();
        for (step, op) in (0..).zip(ops) {
            let refused = |rejection| (Some(step), rejection);
            let old = self.entries.get(op.key()).cloned();
            let existed = old.is_some();
            results.push(match op {
                Op::Get { .. } => OpResult::Got(old),
                Op::Delete { key, want_previous } => {
                    then.entries.remove(key);
                    OpResult::Deleted { existed, previous: old.filter(|_| *want_previous) }
                }
                Op::Put { key, value, attach, want_previous } => {
                    let lease = match attach {
                        Attach::None => 0,
                        Attach::Lease(lease) => {
                            if !self.takes_more(*lease) {
                                unknown = unknown.or(Some(*lease));
                            }
                            *lease
                        }
                        Attach::Ttl(ttl_ms) => then.grant(revision, *ttl_ms, true),
                    };
                    then.put(revision, key, value.clone(), lease);
                    OpResult::Put { replaced: existed, previous: old.filter(|_| *want_previous) }
                }
                Op::Increment { key, delta } => {
                    let text = old.as_ref().map_or_else(|| "0".into(), |old| old.value.clone());
                    let value: i64 = String::from_utf8(text.to_vec())
                        .ok()
                        .and_then(|text| text.parse().ok())
                        .ok_or_else(|| refused(Rejection::NotANumber))?;
                    let sum = value.checked_add(*delta);
                    let sum = sum.ok_or_else(|| refused(Rejection::Overflow { value }))?;
                    let lease = old.map_or(0, |old| old.lease);
                    then.put(revision, key, sum.to_string().into(), lease);
                    OpResult::Incremented(sum)
                }
            });
        }
        let (used, limit) = (self.bytes(), SETTINGS.storage_limit_bytes);
        if then.bytes() > used && then.bytes() > limit {
            return Err((None, Rejection::Full { used, limit }));
        }
        if let Some(lease) = unknown {
            return Err((None, Rejection::LeaseNotFound { lease }));
        }
        *self = then;
        Ok(results)
    }

    fn takes_more(&self, lease: u64) -> bool {
        self.leases.get(&lease).is_some_and(|lease| !lease.of_key)
    }

    fn put(&mut self, revision: u64, key: &Bytes, value: Bytes, lease: u64) {
        let created = self.entries.get(key).map_or(revision, |old| old.created);
        self.entries.insert(key.clone(), Found { value, revision, created, lease });
    }

    fn grant(&mut self, revision: u64, ttl_ms: u64, of_key: bool) -> u64 {
        let id = revision.max(self.last_lease + 1);
        self.last_lease = id;
        self.leases.insert(id, MLease { ttl_ms, expire_at: self.now_ms + ttl_ms, of_key });
        id
    }

    fn end(&mut self, revision: u64, lease: u64) {
        self.leases.remove(&lease);
        self.entries.retain(|_, found| found.lease != lease);
        for name in self.locks.keys().cloned().collect::<Vec<_>>() {
            self.leave(revision, &name, lease);
        }
    }

    fn lock(
        &mut self,
        revision: u64,
        name: &Bytes,
        lease: u64,
        wait: bool,
    ) -> Result<Outcome, Rejection> {
        if !self.takes_more(lease) {
            return Err(Rejection::LeaseNotFound { lease });
        }
        let (token, leases) =
            self.locks.entry(name.clone()).or_insert_with(|| (revision, vec![lease]));
        let place = leases.iter().position(|known| *known == lease);
        if !wait && place != Some(0) {
            return Err(Rejection::LockHeld { token: *token });
        }
        let place = place.unwrap_or_else(|| {
            leases.push(lease);
            leases.len() - 1
        });
        Ok(match place {
            0 => Outcome::Locked { token: *token },
            ahead => Outcome::Queued { revision, ahead: ahead as u64 },
        })
    }

    fn leave(&mut self, revision: u64, name: &Bytes, lease: u64) {
        let Some((token, leases)) = self.locks.get_mut(name) else { return };
        if leases.first() == Some(&lease) {
            *token = revision;
        }
        leases.retain(|known| *known != lease);
        if leases.is_empty() {
            self.locks.remove(name);
        }
    }
}

fn holds(test: &Test, entry: Option<&Found>) -> bool {
    let relate = |relation: &Relation, ordering: std::cmp::Ordering| match relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Less => ordering.is_lt(),
        Relation::Greater => ordering.is_gt(),
    };
    match test {
        Test::Revision(relation, revision) => {
            relate(relation, entry.map_or(0, |entry| entry.revision).cmp(revision))
        }
        Test::Created(relation, revision) => {
            relate(relation, entry.map_or(0, |entry| entry.created).cmp(revision))
        }
        Test::Value(relation, value) => {
            entry.is_some_and(|entry| relate(relation, entry.value.cmp(value)))
        }
        Test::Exists(exists) => entry.is_some() == *exists,
    }
}
