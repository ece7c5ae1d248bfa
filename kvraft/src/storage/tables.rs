//! `Tables` are what is replicated beside the entries: small, and held in memory whole.

use bytes::Bytes;

use crate::codec::{DecodeError, Decoded};
use crate::storage::lease::{Lease, Leases};
use crate::storage::lock::{Lock, Locks};
use crate::storage::request::{Answered, Requests};
use crate::storage::row::RowId;
use crate::storage::session::{Session, Sessions};
use crate::storage::state_record::{seal, unseal};

/// All small tables. Cheap to clone: a view and a checkpoint share what did not change.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    pub(super) sessions: Sessions,
    pub(super) leases: Leases,
    pub(super) locks: Locks,
    pub(super) requests: Requests,
}

impl Tables {
    /// Returns one number over all tables, kept up with every change.
    pub(super) const fn hash(&self) -> u64 {
        self.sessions
            .hash()
            .wrapping_add(self.leases.hash())
            .wrapping_add(self.locks.hash())
            .wrapping_add(self.requests.hash())
    }

    /// Returns the sealed record of a row, or `None` if there is no such row now.
    pub(super) fn record(&self, id: &RowId) -> Option<Vec<u8>> {
        let body = match id {
            RowId::Session(id) => self.sessions.get(*id).map(Session::encode),
            RowId::Lease(id) => self.leases.get(*id).map(Lease::encode),
            RowId::Lock(name) => self.locks.get(name).map(Lock::encode),
            RowId::Request(key) => self.requests.get(key).map(Answered::encode),
        }?;
        Some(seal(&id.key(), |out| out.extend_from_slice(&body)))
    }

    /// Takes a row from a disk or a snapshot; leases come without their keys.
    pub(super) fn take(&mut self, id: RowId, record: Bytes) -> Decoded<()> {
        let mut reader = unseal(&id.key(), record)?;
        match id {
            RowId::Session(id) => self.sessions.insert(id, Session::decode(&mut reader)?),
            RowId::Lease(id) => self.leases.insert(id, Lease::decode(&mut reader)?),
            RowId::Lock(name) => {
                let lock = Lock::decode(&mut reader)?;
                // Leases come first, so that all are there.
                for lease in lock.leases() {
                    self.leases.tie_lock(lease, &name, true);
                }
                self.locks.set(&name, Some(lock));
            }
            RowId::Request(key) => self.requests.insert(key, Answered::decode(&mut reader)?),
        }
        reader.finish()
    }

    /// Ties a key to the lease that it was found with.
    pub(super) fn take_lease_key(&mut self, lease: u64, key: Bytes) -> Decoded<()> {
        if self.leases.attach(lease, key) {
            return Ok(());
        }
        Err(DecodeError::new(format!("a key belongs to lease {lease:016x}, which is not there")))
    }

    /// Returns the first row behind `after`, in the order of the ids.
    pub(super) fn next(&self, after: Option<&RowId>) -> Option<RowId> {
        let session = match after {
            None => self.sessions.next(None),
            Some(RowId::Session(id)) => self.sessions.next(Some(*id)),
            Some(_) => None,
        };
        let lease = || match after {
            None | Some(RowId::Session(_)) => self.leases.next(None),
            Some(RowId::Lease(id)) => self.leases.next(Some(*id)),
            Some(_) => None,
        };
        let lock = || match after {
            None | Some(RowId::Session(_) | RowId::Lease(_)) => self.locks.next(None),
            Some(RowId::Lock(name)) => self.locks.next(Some(name)),
            Some(RowId::Request(_)) => None,
        };
        let request = || match after {
            Some(RowId::Request(key)) => self.requests.next(Some(key)),
            None | Some(_) => self.requests.next(None),
        };
        session
            .map(RowId::Session)
            .or_else(|| lease().map(RowId::Lease))
            .or_else(|| lock().map(RowId::Lock))
            .or_else(|| request().map(RowId::Request))
    }
}
