//! `Locks` are names that one lease holds at a time, and the leases that wait for them in order.

use bytes::{BufMut, Bytes};
use imbl::{OrdMap, Vector};

use crate::codec::{Decoded, Reader, Writer};
use crate::command::LeaseNumber;
use crate::storage::row::row_hash;

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) holder: LeaseNumber,
    /// The revision at which the holder got it.
    pub(super) token: u64,
    /// In the order of their arrival.
    pub(super) waiters: Vector<LeaseNumber>,
}

/// All locks that are held. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Locks {
    by_name: OrdMap<Bytes, Lock>,
    /// Places in all queues together.
    waiting: u64,
    hash: u64,
}

/// What the hash tells apart.
const HASH_LOCK: u8 = 4;

/// What a lease is to a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockPlace {
    /// It holds the lock with this fencing token.
    Held {
        token: u64,
    },
    /// So many leases get it before.
    Waits {
        ahead: u64,
    },
    None,
}

impl Lock {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(20 + self.waiters.len() * 8);
        out.put_u64(self.holder);
        out.put_u64(self.token);
        out.put_list(self.waiters.iter(), |out, lease| out.put_u64(*lease));
        out
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            holder: reader.u64()?,
            token: reader.u64()?,
            waiters: reader.list(Reader::u64)?.into_iter().collect(),
        })
    }

    /// Returns the holder and all who wait.
    pub(super) fn leases(&self) -> impl Iterator<Item = LeaseNumber> {
        std::iter::once(self.holder).chain(self.waiters.iter().copied())
    }

    pub(super) fn place(&self, lease: LeaseNumber) -> LockPlace {
        if self.holder == lease {
            return LockPlace::Held { token: self.token };
        }
        match self.waiters.iter().position(|waiter| *waiter == lease) {
            Some(before) => LockPlace::Waits { ahead: before as u64 + 1 },
            None => LockPlace::None,
        }
    }
}

impl Locks {
    pub(super) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(super) fn count(&self) -> u64 {
        self.by_name.len() as u64
    }

    /// Returns how many places there are in the queues of all locks.
    pub(super) const fn waiting(&self) -> u64 {
        self.waiting
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&Lock> {
        self.by_name.get(name)
    }

    /// Returns the name of the first lock behind `after`.
    pub(super) fn next(&self, after: Option<&Bytes>) -> Option<Bytes> {
        let start = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = (start.cloned(), std::ops::Bound::Unbounded);
        self.by_name.range(range).next().map(|(name, _)| name.clone())
    }

    /// Gives a lock this form; `None` frees it.
    pub(super) fn set(&mut self, name: &Bytes, lock: Option<Lock>) {
        let hash = |lock: &Lock| row_hash(HASH_LOCK, name, &lock.encode());
        if let Some(lock) = &lock {
            self.waiting += lock.waiters.len() as u64;
            self.hash = self.hash.wrapping_add(hash(lock));
        }
        let old = match lock {
            Some(lock) => self.by_name.insert(name.clone(), lock),
            None => self.by_name.remove(name),
        };
        if let Some(old) = old {
            self.waiting -= old.waiters.len() as u64;
            self.hash = self.hash.wrapping_sub(hash(&old));
        }
    }

    /// Takes a lease out of a lock; its successor holds it since `revision`.
    pub(super) fn leave(&mut self, name: &Bytes, lease: LeaseNumber, revision: u64) {
        let Some(mut lock) = self.by_name.get(name).cloned() else { return };
        if lock.holder != lease {
            lock.waiters.retain(|waiter| *waiter != lease);
            return self.set(name, Some(lock));
        }
        let next = lock.waiters.pop_front();
        self.set(name, next.map(|holder| Lock { holder, token: revision, ..lock }));
    }
}
