//! What becomes of leases, and of the keys and locks that end with them.

use bytes::Bytes;
use imbl::Vector;

use super::{Change, Replica};
use crate::command::{
    LeaseNumber, MAX_KEYS_ENDED_AT_ONCE, MAX_LEASES, MAX_LOCK_WAITERS, MAX_LOCKS, Outcome,
    Rejection,
};
use crate::error::Result;
use crate::storage::lease::Lease;
use crate::storage::lock::{Lock, LockPlace};
use crate::storage::row::RowId;

impl Replica {
    pub(super) fn grant_lease(&mut self, change: Change, ttl_ms: u64) -> Outcome {
        if self.view.tables.leases.count() >= MAX_LEASES {
            return Outcome::Rejected(Rejection::TooManyLeases { limit: MAX_LEASES });
        }
        Outcome::LeaseGranted { lease: self.new_lease(change, ttl_ms, false) }
    }

    /// Makes a lease under a number that none ever had: the revision, or the next one of it that
    /// is free. Revisions never go back, and so neither do these numbers.
    pub(super) fn new_lease(&mut self, change: Change, ttl_ms: u64, of_key: bool) -> LeaseNumber {
        let meta = &mut self.view.meta;
        let id = change.revision.max(meta.last_lease.saturating_add(1));
        meta.last_lease = id;
        self.view.tables.leases.grant(id, ttl_ms, meta.cluster_ms, of_key);
        self.touch(RowId::Lease(id));
        id
    }

    pub(super) fn keep_alive(&mut self, leases: &[LeaseNumber]) -> Outcome {
        let now_ms = self.view.meta.cluster_ms;
        let mut gone = Vec::new();
        for lease in leases {
            if self.view.tables.leases.keep_alive(*lease, now_ms) {
                self.touch(RowId::Lease(*lease));
            } else {
                gone.push(*lease);
            }
        }
        Outcome::KeptAlive { gone }
    }

    pub(super) fn revoke_lease(&mut self, change: Change, lease: LeaseNumber) -> Result<Outcome> {
        if self.view.tables.leases.get(lease).is_none() {
            return Ok(Outcome::Rejected(Rejection::LeaseNotFound { lease }));
        }
        self.end_lease(change, lease);
        self.take_keys_of(lease, MAX_KEYS_ENDED_AT_ONCE)?;
        let left = self.view.tables.leases.get(lease).map_or(0, |lease| lease.keys.len());
        Ok(Outcome::LeaseRevoked { keys_left: left as u64 })
    }

    /// Ends what is due, key by key up to a bound: the leader asks again for the rest.
    pub(super) fn expire_leases(
        &mut self,
        change: Change,
        leases: &[(LeaseNumber, u64)],
    ) -> Result<()> {
        let now_ms = self.view.meta.cluster_ms;
        let mut room = MAX_KEYS_ENDED_AT_ONCE;
        for (lease, deadline) in leases {
            let known = self.view.tables.leases.get(*lease);
            let due = |known: &&Lease| known.expire_at == *deadline && *deadline <= now_ms;
            if let Some(known) = known.filter(due) {
                self.leases_expired += u64::from(!known.ended);
                self.end_lease(change, *lease);
                room -= self.take_keys_of(*lease, room)?;
            }
            if room == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Ends a lease for good: its locks go on to those who wait, its keys are taken next.
    fn end_lease(&mut self, change: Change, lease: LeaseNumber) {
        let now_ms = self.view.meta.cluster_ms;
        let leases = &mut self.view.tables.leases;
        leases.end(lease, now_ms);
        let locks = leases.get(lease).map(|lease| lease.locks.clone()).unwrap_or_default();
        for name in locks {
            self.leave_lock(change, &name, lease);
        }
        self.touch(RowId::Lease(lease));
    }

    /// Takes at most `most` keys of a lease that has ended away, and returns how many; the lease
    /// goes with the last one.
    fn take_keys_of(&mut self, lease: LeaseNumber, most: usize) -> Result<usize> {
        let keys: Vec<Bytes> = self
            .view
            .tables
            .leases
            .get(lease)
            .map(|lease| lease.keys.iter().take(most).cloned().collect())
            .unwrap_or_default();
        let taken = keys.len();
        for key in keys {
            let old = self.view.layers.record(&key)?;
            self.replace(key, old, None);
        }
        self.remove_if_empty(lease);
        Ok(taken)
    }

    fn remove_if_empty(&mut self, lease: LeaseNumber) {
        let leases = &mut self.view.tables.leases;
        let over = leases.get(lease).is_some_and(|known| {
            (known.ended || known.of_key) && known.keys.is_empty() && known.locks.is_empty()
        });
        if over {
            leases.remove(lease);
            self.touch(RowId::Lease(lease));
        }
    }

    /// Ties a key to the lease that its entry names, if it names one.
    pub(super) fn tie(&mut self, lease: LeaseNumber, key: &Bytes) {
        if lease != 0 && self.view.tables.leases.attach(lease, key.clone()) {
            self.changed.lease_keys.insert((lease, key.clone()), true);
        }
    }

    /// Unties a key; a lease that only this key had goes with it.
    pub(super) fn untie(&mut self, lease: LeaseNumber, key: &Bytes) {
        if lease == 0 {
            return;
        }
        self.view.tables.leases.detach(lease, key);
        self.changed.lease_keys.insert((lease, key.clone()), false);
        if self.view.tables.leases.get(lease).is_some_and(|known| known.of_key) {
            self.remove_if_empty(lease);
        }
    }

    pub(super) fn lock(
        &mut self,
        change: Change,
        name: &Bytes,
        lease: LeaseNumber,
        wait: bool,
    ) -> Outcome {
        let tables = &mut self.view.tables;
        if !tables.leases.takes_more(lease) {
            return Outcome::Rejected(Rejection::LeaseNotFound { lease });
        }
        let revision = change.revision;
        let lock = match tables.locks.get(name).cloned() {
            None if tables.locks.count() >= MAX_LOCKS => {
                return Outcome::Rejected(Rejection::TooManyLocks { limit: MAX_LOCKS });
            }
            None => Lock { holder: lease, token: revision, waiters: Vector::new() },
            Some(mut lock) => match lock.place(lease) {
                LockPlace::Held { token } => return Outcome::Locked { token },
                LockPlace::Waits { ahead } if wait => return Outcome::Queued { revision, ahead },
                LockPlace::Waits { .. } | LockPlace::None if !wait => {
                    return Outcome::Rejected(Rejection::LockHeld { token: lock.token });
                }
                LockPlace::Waits { .. } | LockPlace::None => {
                    if lock.waiters.len() as u64 >= MAX_LOCK_WAITERS {
                        let limit = MAX_LOCK_WAITERS;
                        return Outcome::Rejected(Rejection::TooManyWaiters { limit });
                    }
                    lock.waiters.push_back(lease);
                    lock
                }
            },
        };
        let place = lock.place(lease);
        tables.leases.tie_lock(lease, name, true);
        tables.locks.set(name, Some(lock));
        self.touch(RowId::Lock(name.clone()));
        match place {
            LockPlace::Waits { ahead } => Outcome::Queued { revision, ahead },
            LockPlace::Held { .. } | LockPlace::None => {
                self.lock_changes += 1;
                Outcome::Locked { token: revision }
            }
        }
    }

    pub(super) fn unlock(&mut self, change: Change, name: &Bytes, lease: LeaseNumber) -> Outcome {
        let lock = self.view.tables.locks.get(name);
        if lock.is_none_or(|lock| lock.place(lease) == LockPlace::None) {
            return Outcome::Rejected(Rejection::NotLockHolder);
        }
        self.leave_lock(change, name, lease);
        Outcome::Done
    }

    fn leave_lock(&mut self, change: Change, name: &Bytes, lease: LeaseNumber) {
        let tables = &mut self.view.tables;
        tables.leases.tie_lock(lease, name, false);
        tables.locks.leave(name, lease, change.revision);
        self.lock_changes += 1;
        self.touch(RowId::Lock(name.clone()));
    }
}
