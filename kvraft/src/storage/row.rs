//! `RowId` names one record of the small tables: what is replicated beside the entries.

use bytes::{BufMut, Bytes};

use crate::codec::{DecodeError, Decoded, Reader};
use crate::command::{LeaseNumber, RequestId, SessionId};
use crate::storage::state_record::mix64;

/// Which record; in the order in which the disk and a snapshot hold them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowId {
    Session(SessionId),
    Lease(LeaseNumber),
    /// The name of the lock.
    Lock(Bytes),
    Request(RequestKey),
}

/// A request id with its principal, in one string of bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RequestKey(Bytes);

const SESSION: u8 = 1;
const LEASE: u8 = 2;
const LOCK: u8 = 3;
const REQUEST: u8 = 4;

impl RowId {
    /// Returns the key of the record; keys and ids have one order.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match self {
            Self::Session(id) => {
                out.put_u8(SESSION);
                out.put_u128(id.0);
            }
            Self::Lease(id) => {
                out.put_u8(LEASE);
                out.put_u64(*id);
            }
            Self::Lock(name) => {
                out.put_u8(LOCK);
                out.put_slice(name);
            }
            Self::Request(RequestKey(key)) => {
                out.put_u8(REQUEST);
                out.put_slice(key);
            }
        }
        out
    }

    pub(super) fn of_key(key: Bytes) -> Decoded<Self> {
        let mut reader = Reader::new(key);
        let id = match reader.u8()? {
            SESSION => Self::Session(SessionId(reader.u128()?)),
            LEASE => Self::Lease(reader.u64()?),
            LOCK => return Ok(Self::Lock(reader.rest())),
            REQUEST => return Ok(Self::Request(RequestKey(reader.rest()))),
            tag => return Err(DecodeError::new(format!("table {tag} is unknown"))),
        };
        reader.finish()?;
        Ok(id)
    }
}

impl RequestKey {
    pub(super) fn new(request: &RequestId) -> Self {
        let mut out = Vec::with_capacity(1 + request.principal.len() + request.id.len());
        // The decoder bounds it to 127 bytes.
        out.put_u8(u8::try_from(request.principal.len()).unwrap_or(u8::MAX));
        out.put_slice(&request.principal);
        out.put_slice(&request.id);
        Self(out.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Returns a hash of one record, spread so that sums of such hashes stand for a whole table.
pub(super) fn row_hash(table: u8, key: &[u8], record: &[u8]) -> u64 {
    let crcs = u64::from(crc32c::crc32c(key)) << 32 | u64::from(crc32c::crc32c(record));
    mix64(mix64(crcs) ^ u64::from(table) ^ (record.len() as u64) << 8)
}
