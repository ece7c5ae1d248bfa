//! `Leases` are spans of cluster time, and the keys and locks that end with them.

use bytes::{BufMut, Bytes};
use imbl::{OrdMap, OrdSet};

use crate::codec::{Decoded, Reader, Writer};
use crate::command::LeaseNumber;
use crate::storage::row::row_hash;

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) ttl_ms: u64,
    /// Cluster time at which it ends unless it is kept alive.
    pub(super) expire_at: u64,
    /// Whether it belongs to one key, with which it goes.
    pub(super) of_key: bool,
    /// Over, but keys are left to be taken away.
    pub(super) ended: bool,
    pub(super) keys: OrdSet<Bytes>,
    /// Locks that it holds or waits for.
    pub(super) locks: OrdSet<Bytes>,
}

/// All leases. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    by_id: OrdMap<LeaseNumber, Lease>,
    by_deadline: OrdSet<(u64, LeaseNumber)>,
    /// Over the leases themselves and over the keys of each.
    hash: u64,
}

/// What the hash tells apart.
const HASH_LEASE: u8 = 2;
const HASH_KEY: u8 = 3;

impl Lease {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18);
        out.put_u64(self.ttl_ms);
        out.put_u64(self.expire_at);
        out.put_bool(self.of_key);
        out.put_bool(self.ended);
        out
    }

    /// Reads a lease; its keys and locks are known from elsewhere.
    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            ttl_ms: reader.u64()?,
            expire_at: reader.u64()?,
            of_key: reader.bool()?,
            ended: reader.bool()?,
            keys: OrdSet::new(),
            locks: OrdSet::new(),
        })
    }

    fn hash(&self, id: LeaseNumber) -> u64 {
        row_hash(HASH_LEASE, &id.to_be_bytes(), &self.encode())
    }
}

/// Returns what one key of a lease adds to the hash.
pub(super) fn lease_key_hash(id: LeaseNumber, key: &[u8]) -> u64 {
    row_hash(HASH_KEY, &id.to_be_bytes(), key)
}

impl Leases {
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn count(&self) -> u64 {
        self.by_id.len() as u64
    }

    pub(super) fn get(&self, id: LeaseNumber) -> Option<&Lease> {
        self.by_id.get(&id)
    }

    /// Returns whether a lease takes keys and locks: one of a single key goes with it, whoever
    /// else had come to it meanwhile.
    pub(super) fn takes_more(&self, id: LeaseNumber) -> bool {
        self.get(id).is_some_and(|lease| !lease.ended && !lease.of_key)
    }

    /// Returns the first lease behind `after`.
    pub(super) fn next(&self, after: Option<LeaseNumber>) -> Option<LeaseNumber> {
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        self.by_id.range((start, std::ops::Bound::Unbounded)).next().map(|(id, _)| *id)
    }

    /// Returns at most `limit` leases whose deadline has passed, the oldest deadlines first.
    pub(super) fn expired(&self, now_ms: u64, limit: usize) -> Vec<(LeaseNumber, u64)> {
        let due = self.by_deadline.range(..=(now_ms, LeaseNumber::MAX));
        due.take(limit).map(|(deadline, id)| (*id, *deadline)).collect()
    }

    /// Puts a lease without keys in its place.
    pub(super) fn insert(&mut self, id: LeaseNumber, lease: Lease) {
        self.hash = self.hash.wrapping_add(lease.hash(id));
        self.by_deadline.insert((lease.expire_at, id));
        self.by_id.insert(id, lease);
    }

    pub(super) fn grant(&mut self, id: LeaseNumber, ttl_ms: u64, now_ms: u64, of_key: bool) {
        let expire_at = now_ms.saturating_add(ttl_ms);
        let (keys, locks) = (OrdSet::new(), OrdSet::new());
        self.insert(id, Lease { ttl_ms, expire_at, of_key, ended: false, keys, locks });
    }

    /// Changes a lease and keeps order and hash in step; its keys must stay.
    fn change(&mut self, id: LeaseNumber, change: impl FnOnce(&mut Lease)) {
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        let mut hash = self.hash.wrapping_sub(lease.hash(id));
        self.by_deadline.remove(&(lease.expire_at, id));
        change(lease);
        hash = hash.wrapping_add(lease.hash(id));
        self.by_deadline.insert((lease.expire_at, id));
        self.hash = hash;
    }

    /// Begins the time of a lease anew; returns whether it is still there.
    pub(super) fn keep_alive(&mut self, id: LeaseNumber, now_ms: u64) -> bool {
        let live = self.get(id).is_some_and(|lease| !lease.ended);
        if live {
            self.change(id, |lease| {
                lease.expire_at = lease.expire_at.max(now_ms.saturating_add(lease.ttl_ms));
            });
        }
        live
    }

    /// Ends a lease: nothing can be added to it any more.
    pub(super) fn end(&mut self, id: LeaseNumber, now_ms: u64) {
        self.change(id, |lease| {
            lease.ended = true;
            lease.expire_at = lease.expire_at.min(now_ms);
        });
    }

    /// Removes a lease that has no keys and no locks.
    pub(super) fn remove(&mut self, id: LeaseNumber) {
        let Some(lease) = self.by_id.remove(&id) else { return };
        self.by_deadline.remove(&(lease.expire_at, id));
        self.hash = self.hash.wrapping_sub(lease.hash(id));
    }

    /// Ties a key to a lease; returns whether there is such a lease.
    pub(super) fn attach(&mut self, id: LeaseNumber, key: Bytes) -> bool {
        let Some(lease) = self.by_id.get_mut(&id) else { return false };
        let hash = lease_key_hash(id, &key);
        if lease.keys.insert(key).is_none() {
            self.hash = self.hash.wrapping_add(hash);
        }
        true
    }

    pub(super) fn detach(&mut self, id: LeaseNumber, key: &[u8]) {
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        if lease.keys.remove(key).is_some() {
            self.hash = self.hash.wrapping_sub(lease_key_hash(id, key));
        }
    }

    /// Ties a lock to a lease, or unties it; locks have a hash of their own.
    pub(super) fn tie_lock(&mut self, id: LeaseNumber, name: &Bytes, tied: bool) {
        let Some(lease) = self.by_id.get_mut(&id) else { return };
        if tied {
            lease.locks.insert(name.clone());
        } else {
            lease.locks.remove(name);
        }
    }
}
