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

/// How many rows the tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TableCounts {
    pub(crate) sessions: u64,
    pub(crate) leases: u64,
    pub(crate) locks_held: u64,
    pub(crate) locks_waiting: u64,
    pub(crate) requests: u64,
    pub(crate) request_bytes: u64,
}

impl Tables {
    /// Counts the rows, without looking at them.
    pub(super) fn counts(&self) -> TableCounts {
        TableCounts {
            sessions: self.sessions.count(),
            leases: self.leases.count(),
            locks_held: self.locks.count(),
            locks_waiting: self.locks.waiting(),
            requests: self.requests.count(),
            request_bytes: self.requests.bytes(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{OpResult, Outcome, RequestId, SessionId};
    use crate::storage::row::RequestKey;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// One row of every table.
    fn tables() -> Tables {
        let mut tables = Tables::default();
        let result = OpResult::Put { replaced: false, previous: None };
        let outcome = Outcome::Written { revision: 9, result };
        let outcomes = [(4_u64, outcome.clone())].into_iter().collect();
        tables.sessions.insert(SessionId(1), Session { last_ms: 3, done_below: 2, outcomes });
        tables.leases.grant(7, 500, 100, true);
        let lock = Lock { holder: 7, token: 8, waiters: [9].into_iter().collect() };
        tables.locks.set(&Bytes::from_static(b"l"), Some(lock));
        let request = RequestId { principal: "p".into(), id: "id".into() };
        let answered = Answered { fingerprint: 0xab, outcome, at_ms: 5 };
        tables.requests.insert(RequestKey::new(&request), answered);
        tables
    }

    fn rows(tables: &Tables) -> Vec<RowId> {
        std::iter::successors(tables.next(None), |id| tables.next(Some(id))).collect()
    }

    #[test]
    fn the_bytes_of_every_row_are_golden() {
        let tables = tables();
        let written: Vec<_> = rows(&tables)
            .iter()
            .map(|id| (hex(&id.key()), hex(&tables.record(id).unwrap())))
            .collect();
        let golden = [
            (
                "0100000000000000000000000000000001",
                "01377c22560000000000000003000000000000000200000001000000000000000402000000000000\
                 000900",
            ),
            ("020000000000000007", "014d325a6300000000000001f400000000000002580100"),
            ("036c", "013236f09300000000000000070000000000000008000000010000000000000009"),
            (
                "0401706964",
                "015726bf37000000000000000000000000000000ab000000000000000502000000000000000900",
            ),
        ];
        let golden: Vec<_> =
            golden.map(|(key, record)| (key.to_owned(), record.to_owned())).to_vec();
        assert_eq!(written, golden);
    }

    #[test]
    fn rows_come_back_as_they_were_and_in_the_order_of_their_keys() {
        let tables = tables();
        let ids = rows(&tables);
        let keys: Vec<_> = ids.iter().map(RowId::key).collect();
        assert!(keys.is_sorted());
        let mut read = Tables::default();
        for id in ids {
            assert_eq!(RowId::of_key(id.key().into()).unwrap(), id);
            let record = tables.record(&id).unwrap();
            read.take(id, record.into()).unwrap();
        }
        assert_eq!(read.hash(), tables.hash());
        let counts = read.counts();
        assert_eq!(counts, tables.counts());
        assert_eq!((counts.sessions, counts.leases, counts.requests), (1, 1, 1));
        assert_eq!((counts.locks_held, counts.locks_waiting), (1, 1));
        assert!(read.take_lease_key(7, "k".into()).is_ok());
        assert!(read.take_lease_key(8, "k".into()).is_err());
        assert_ne!(read.hash(), tables.hash());
    }
}
