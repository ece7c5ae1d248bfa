//! What writes do to entries: planned first, so that a refused one has changed nothing.

use std::ops::Bound;

use bytes::Bytes;

use super::{Change, Replica};
use crate::command::{
    Attach, Compare, Found, KeyRange, LeaseNumber, MAX_LEASES, Op, OpResult, Outcome, Rejection,
    Settings, Test, Txn,
};
use crate::error::Result;
use crate::storage::buffer::Slot;
use crate::storage::change;
use crate::storage::state_disk::Order;
use crate::storage::state_record::Record;
use crate::storage::view::{PageLimits, PageRequest, proper};

/// Entries and bytes that the removal of a range reads at a time.
const STEP: PageLimits = PageLimits { entries: 1024, bytes: 1 << 20 };

/// What one step is going to do.
struct Plan {
    key: Bytes,
    old: Option<Record>,
    effect: Effect,
    result: OpResult,
}

enum Effect {
    Nothing,
    Remove,
    Put { value: Bytes, lease: Lease },
}

/// The lease of a value that is put.
enum Lease {
    /// None, or the one that the entry has already.
    Kept(LeaseNumber),
    /// One that was granted, and must still be there.
    Granted(LeaseNumber),
    /// A new one, for this key alone.
    Own(u64),
}

impl Replica {
    pub(super) fn write(&mut self, change: Change, op: Op, test: Option<&Test>) -> Result<Outcome> {
        let old = self.view.layers.record(op.key())?;
        if let Some(test) = test
            && !holds(test, old.as_ref())
        {
            let revision = old.map_or(0, |old| old.revision);
            return Ok(Outcome::Rejected(Rejection::Conflict { revision }));
        }
        let planned = plan(op, old, change.founding.settings);
        let revision = change.revision;
        Ok(match planned.and_then(|plan| self.commit(change, vec![plan])) {
            Ok(results) => results
                .into_iter()
                .next()
                .map_or(Outcome::Done, |result| Outcome::Written { revision, result }),
            Err(rejection) => Outcome::Rejected(rejection),
        })
    }

    pub(super) fn txn(&mut self, change: Change, txn: Txn) -> Result<Outcome> {
        let mut succeeded = true;
        for Compare { key, test } in &txn.compares {
            succeeded &= holds(test, self.view.layers.record(key)?.as_ref());
        }
        let ops = if succeeded { txn.then } else { txn.otherwise };
        let limit = change.founding.settings.max_command_bytes;
        let mut left = u64::from(limit);
        let mut plans = Vec::with_capacity(ops.len());
        for (step, op) in (0..).zip(ops) {
            let refused = |rejection| Ok(Outcome::StepRejected { succeeded, step, rejection });
            let old = self.view.layers.record(op.key())?;
            let plan = match plan(op, old, change.founding.settings) {
                Ok(plan) => plan,
                Err(rejection) => return refused(rejection),
            };
            let Some(less) = left.checked_sub(plan.result.data_len() as u64) else {
                return refused(Rejection::ResultTooLarge { limit });
            };
            left = less;
            plans.push(plan);
        }
        Ok(match self.commit(change, plans) {
            Ok(results) => Outcome::Txn { revision: change.revision, succeeded, results },
            Err(rejection) => Outcome::Rejected(rejection),
        })
    }

    /// Checks what all steps together need, then does them all.
    fn commit(&mut self, change: Change, plans: Vec<Plan>) -> Result<Vec<OpResult>, Rejection> {
        self.check_growth(change, &plans)?;
        self.check_leases(&plans)?;
        let results = plans.into_iter().map(|plan| {
            let Plan { key, old, effect, result } = plan;
            match effect {
                Effect::Nothing => {}
                Effect::Remove => self.replace(key, old, None),
                Effect::Put { value, lease } => {
                    let lease = match lease {
                        Lease::Kept(lease) | Lease::Granted(lease) => lease,
                        Lease::Own(ttl_ms) => self.new_lease(change, ttl_ms, true),
                    };
                    let created = old.as_ref().map_or(change.revision, |old| old.created);
                    let found = Found { value, revision: change.revision, created, lease };
                    let record = Record::new(&key, found);
                    self.replace(key, old, Some(record));
                }
            }
            result
        });
        Ok(results.collect())
    }

    fn check_growth(&self, change: Change, plans: &[Plan]) -> Result<(), Rejection> {
        let (mut added, mut freed) = (0_u64, 0_u64);
        for Plan { key, old, effect, .. } in plans {
            let before = old.as_ref().map_or(0, |old| entry_bytes(key, &old.value));
            match effect {
                Effect::Nothing => {}
                Effect::Remove => freed += before,
                Effect::Put { value, .. } => {
                    added += entry_bytes(key, value);
                    freed += before;
                }
            }
        }
        let (used, limit) = (self.view.meta.bytes, change.founding.settings.storage_limit_bytes);
        let used_then = used.wrapping_add(added).wrapping_sub(freed);
        if added > freed && used_then > limit {
            return Err(Rejection::Full { used, limit });
        }
        Ok(())
    }

    fn check_leases(&self, plans: &[Plan]) -> Result<(), Rejection> {
        let leases = &self.view.tables.leases;
        let mut own = 0;
        for plan in plans {
            match plan.effect {
                Effect::Put { lease: Lease::Own(_), .. } => own += 1,
                Effect::Put { lease: Lease::Granted(lease), .. } if !leases.takes_more(lease) => {
                    return Err(Rejection::LeaseNotFound { lease });
                }
                Effect::Put { .. } | Effect::Nothing | Effect::Remove => {}
            }
        }
        if own > 0 && leases.count() + own > MAX_LEASES {
            return Err(Rejection::TooManyLeases { limit: MAX_LEASES });
        }
        Ok(())
    }

    /// Takes every key of a range away: one erased range in the buffer, however many they are.
    pub(super) fn delete_range(&mut self, change: Change, range: &KeyRange) -> Result<Outcome> {
        let mut deleted = 0;
        if let Some(range) = proper(range) {
            let before = self.view.layers.clone();
            let mut request =
                PageRequest { range, order: Order::Forward, limits: STEP, keys_only: false };
            let whole = request.range.clone();
            loop {
                let page = before.page(&request)?;
                deleted += page.items.len() as u64;
                let last = page.items.last().map(|(key, _)| key.clone());
                for (key, record) in page.items {
                    self.forget(&key, Some(record));
                }
                match last {
                    Some(last) if page.more => request.range.0 = Bound::Excluded(last),
                    Some(_) | None => break,
                }
            }
            if deleted > 0 {
                self.view.layers.active.erase(&whole);
            }
        }
        Ok(Outcome::RangeDeleted { revision: change.revision, deleted })
    }

    /// Gives a key another record or none, and keeps counters, leases and watchers in step.
    pub(super) fn replace(&mut self, key: Bytes, old: Option<Record>, new: Option<Record>) {
        let Some(record) = new else {
            if old.is_some() {
                self.forget(&key, old);
                self.view.layers.active.insert(key, Slot::Tombstone);
            }
            return;
        };
        let lease_before = old.as_ref().map_or(0, |old| old.lease);
        if lease_before != record.lease {
            self.untie(lease_before, &key);
            self.tie(record.lease, &key);
        }
        self.uncount(&key, old.as_ref());
        let meta = &mut self.view.meta;
        meta.len += 1;
        meta.bytes += entry_bytes(&key, &record.value);
        meta.entries_hash = meta.entries_hash.wrapping_add(record.head().hash());
        self.changes.push(change::Change {
            key: key.clone(),
            now: Some(record.clone()),
            before: old,
        });
        self.view.layers.active.insert(key, Slot::Put(record));
    }

    /// Takes an entry that goes away out of the counters and its lease, and tells watchers.
    fn forget(&mut self, key: &Bytes, old: Option<Record>) {
        self.untie(old.as_ref().map_or(0, |old| old.lease), key);
        self.uncount(key, old.as_ref());
        self.changes.push(change::Change { key: key.clone(), now: None, before: old });
    }

    fn uncount(&mut self, key: &[u8], old: Option<&Record>) {
        let Some(old) = old else { return };
        let meta = &mut self.view.meta;
        meta.len = meta.len.wrapping_sub(1);
        meta.bytes = meta.bytes.wrapping_sub(entry_bytes(key, &old.value));
        meta.entries_hash = meta.entries_hash.wrapping_sub(old.head().hash());
    }
}

/// Decides what a step does to its key, or why it cannot.
fn plan(op: Op, old: Option<Record>, settings: Settings) -> Result<Plan, Rejection> {
    let existed = old.is_some();
    let previous = |wanted: bool| if wanted { old.clone().map(Record::found) } else { None };
    let (key, effect, result) = match op {
        Op::Get { key } => (key, Effect::Nothing, OpResult::Got(previous(true))),
        Op::Put { key, value, attach, want_previous } => {
            check_value(&value, settings)?;
            let lease = match attach {
                Attach::None => Lease::Kept(0),
                Attach::Lease(lease) => Lease::Granted(lease),
                Attach::Ttl(ttl_ms) => Lease::Own(ttl_ms),
            };
            let previous = previous(want_previous);
            (key, Effect::Put { value, lease }, OpResult::Put { replaced: existed, previous })
        }
        Op::Delete { key, want_previous } => {
            let result = OpResult::Deleted { existed, previous: previous(want_previous) };
            (key, Effect::Remove, result)
        }
        Op::Increment { key, delta } => {
            let value = old.as_ref().map_or(Ok(0), |old| number(&old.value))?;
            let sum = value.checked_add(delta).ok_or(Rejection::Overflow { value })?;
            let lease = Lease::Kept(old.as_ref().map_or(0, |old| old.lease));
            let value = Bytes::from(sum.to_string());
            check_value(&value, settings)?;
            (key, Effect::Put { value, lease }, OpResult::Incremented(sum))
        }
    };
    Ok(Plan { key, old, effect, result })
}

fn check_value(value: &[u8], settings: Settings) -> Result<(), Rejection> {
    let limit = settings.max_value_bytes;
    if value.len() as u64 > u64::from(limit) {
        return Err(Rejection::ValueTooLarge { limit });
    }
    Ok(())
}

/// Reads a counter: decimal digits with an optional sign.
fn number(value: &[u8]) -> Result<i64, Rejection> {
    str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(Rejection::NotANumber)
}

fn holds(test: &Test, entry: Option<&Record>) -> bool {
    match test {
        Test::Revision(relation, revision) => {
            relation.holds(&entry.map_or(0, |entry| entry.revision), revision)
        }
        Test::Created(relation, revision) => {
            relation.holds(&entry.map_or(0, |entry| entry.created), revision)
        }
        Test::Value(relation, value) => {
            entry.is_some_and(|entry| relation.holds(&*entry.value, value))
        }
        Test::Exists(exists) => entry.is_some() == *exists,
    }
}

const fn entry_bytes(key: &[u8], value: &[u8]) -> u64 {
    key.len() as u64 + value.len() as u64
}
