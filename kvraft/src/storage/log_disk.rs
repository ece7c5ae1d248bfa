//! `LogDisk` is the seam under the log: what it writes, flushes or reads back.
//!
//! The writer thread owns the writing half, everyone may read. A simulated disk implements the
//! same traits to lose what was not flushed.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{DecodeError, Decoded, Reader};
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId};
use crate::record;

/// Entries stand behind all records, so that appending to the log is appending to the file.
const LOG_TAG: u8 = 0xff;
const SINGLE_TAG: u8 = 1;
const PEER_TAG: u8 = 2;

/// A key in the log environment: `[tag u8][number u64 BE]`.
pub(super) type Key = [u8; 9];

/// What the log environment remembers beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Record {
    /// Counts transactions, so that none is ever empty: LMDB does not flush an empty one.
    Counter,
    Vote,
    Committed,
    /// The last purged log id; entries up to it may still be there and do not count.
    Purged,
    Identity,
    Cluster,
    Claim,
    /// Why this node's state is to be fetched anew from another member; empty if it is not.
    Refill,
    /// What this node knows of the peer with that node id.
    Peer(u64),
}

impl Record {
    pub(super) fn key(self) -> Key {
        let (tag, number) = match self {
            Self::Counter => (SINGLE_TAG, 1),
            Self::Vote => (SINGLE_TAG, 2),
            Self::Committed => (SINGLE_TAG, 3),
            Self::Purged => (SINGLE_TAG, 4),
            Self::Identity => (SINGLE_TAG, 5),
            Self::Cluster => (SINGLE_TAG, 6),
            Self::Claim => (SINGLE_TAG, 7),
            Self::Refill => (SINGLE_TAG, 8),
            Self::Peer(node_id) => (PEER_TAG, node_id),
        };
        key(tag, number)
    }
}

impl Record {
    /// Returns whose key this is.
    pub(super) fn of_key(key: &[u8]) -> Option<Self> {
        let peer = key_number(key).ok().map(Self::Peer);
        let single = [
            Self::Counter,
            Self::Vote,
            Self::Committed,
            Self::Purged,
            Self::Identity,
            Self::Cluster,
            Self::Claim,
            Self::Refill,
        ];
        single.into_iter().chain(peer).find(|record| record.key() == key)
    }
}

pub(super) fn entry_key(index: u64) -> Key {
    key(LOG_TAG, index)
}

/// The range of keys of the peer records.
pub(super) fn peer_keys() -> (Key, Key) {
    (key(PEER_TAG, 0), key(PEER_TAG, u64::MAX))
}

/// Returns the number in a key.
pub(super) fn key_number(key: &[u8]) -> Decoded<u64> {
    let mut reader = Reader::new(Bytes::copy_from_slice(key));
    reader.u8()?;
    let number = reader.u64()?;
    reader.finish()?;
    Ok(number)
}

fn key(tag: u8, number: u64) -> Key {
    let mut key = [tag; 9];
    for (to, from) in key.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *to = from;
    }
    key
}

/// Puts a CRC32C over key and body in front of the body: LMDB returns flipped bytes silently.
pub(super) fn seal(key: &Key, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(4 + body.len());
    out.put_u32(checksum(key, body));
    out.put_slice(body);
    out
}

/// Returns the body of a sealed value.
pub(super) fn unseal(key: &[u8], value: &[u8]) -> Decoded<Bytes> {
    let mut reader = Reader::new(Bytes::copy_from_slice(value));
    let expected = reader.u32()?;
    let body = reader.rest();
    if checksum(key, &body) == expected {
        Ok(body)
    } else {
        Err(DecodeError::new("its checksum does not match its bytes"))
    }
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(key), body)
}

/// Makes the sealed value of an entry.
pub(super) fn seal_entry(key: &Key, entry: &Entry) -> BytesMut {
    let mut out = BytesMut::with_capacity(4 + record::entry_len(entry));
    out.put_u32(0);
    record::put_entry_body(&mut out, entry);
    if let Some((head, body)) = out.split_first_chunk_mut::<4>() {
        *head = checksum(key, body).to_be_bytes();
    }
    out
}

/// A change of the log, in the order in which it was submitted.
#[derive(Debug)]
pub(crate) enum LogStep {
    /// Adds consecutive entries behind the last one.
    Append(Vec<Entry>),
    /// Removes the entries from this index on.
    Truncate { from: u64 },
}

/// All that one transaction does.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) steps: Vec<LogStep>,
    /// New values of records; they do not depend on the steps.
    pub(crate) records: BTreeMap<Record, Bytes>,
    /// Remove a bounded chunk of the entries up to this index, after the steps.
    pub(crate) purge: Option<u64>,
}

impl Batch {
    /// Returns about how many bytes the entries take.
    pub(super) fn bytes(&self) -> u64 {
        let entries = self.steps.iter().flat_map(|step| match step {
            LogStep::Append(entries) => entries.as_slice(),
            LogStep::Truncate { .. } => &[],
        });
        entries.map(|entry| record::entry_len(entry) as u64).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.records.is_empty() && self.purge.is_none()
    }
}

/// The writing half of a disk; one thread owns it.
pub(crate) trait LogDisk: Send + 'static {
    /// Writes a batch in one transaction: all of it or, if this fails, nothing.
    ///
    /// It is durable when the next `write` or `sync` has succeeded. Returns whether entries up to
    /// `batch.purge` are left.
    fn write(&mut self, batch: &Batch) -> io::Result<bool>;

    /// Makes every batch written so far durable.
    fn sync(&mut self) -> io::Result<()>;

    /// Returns how many bytes of its file are free for entries: it does not shrink.
    fn room(&self) -> io::Result<u64>;
}

/// The reading half of a disk; it sees whole batches only.
pub(crate) trait LogRead: Send + Sync + 'static {
    /// Returns the consecutive entries from the first one present in `range`: all of them, or as
    /// many as `max_bytes` hold, but at least one.
    fn entries(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>>;

    /// Returns the body of a record.
    fn record(&self, record: Record) -> Result<Option<Bytes>>;

    /// Returns the peer records by node id.
    fn peers(&self) -> Result<Vec<(u64, Bytes)>>;

    /// Returns the outline of the log, after a cheap check that nothing is missing in it.
    fn outline(&self) -> Result<Outline>;
}

/// Reads a record that nothing may stand behind.
pub(super) fn read_record<T>(
    disk: &impl LogRead,
    record: Record,
    with: impl FnOnce(&mut Reader) -> Decoded<T>,
) -> Result<Option<T>> {
    disk.record(record)?.map(|body| decode_record(record, body, with)).transpose()
}

pub(super) fn decode_record<T>(
    record: Record,
    body: Bytes,
    with: impl FnOnce(&mut Reader) -> Decoded<T>,
) -> Result<T> {
    let mut reader = Reader::new(body);
    with(&mut reader).and_then(|value| reader.finish().map(|()| value)).map_err(|why| {
        Error::corrupt(format!(
            "the {record:?} record of the log cannot be read: a newer kvraft wrote it, or it is \
             damaged and this node must join again under a new node id"
        ))
        .with_source(why)
    })
}

/// Where a log begins or ends, and how large it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) purged: Option<LogId>,
    /// The index of the first entry behind `purged`.
    pub(crate) first: Option<u64>,
    /// The last entry, or `purged` if there is none.
    pub(crate) last: Option<LogId>,
    /// About how many bytes the entries take.
    pub(crate) bytes: u64,
    /// Whether purged entries are still on the disk.
    pub(crate) purge_left: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Payload;
    use openraft::EntryPayload;
    use openraft::entry::RaftEntry;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_keys_are_golden_and_entries_stand_last() {
        let golden = [
            (Record::Counter, "010000000000000001"),
            (Record::Vote, "010000000000000002"),
            (Record::Committed, "010000000000000003"),
            (Record::Purged, "010000000000000004"),
            (Record::Identity, "010000000000000005"),
            (Record::Cluster, "010000000000000006"),
            (Record::Claim, "010000000000000007"),
            (Record::Refill, "010000000000000008"),
            (Record::Peer(0x0a), "02000000000000000a"),
        ];
        for (record, bytes) in golden {
            assert_eq!(hex(&record.key()), bytes);
            assert!(record.key() < entry_key(0));
            assert_eq!(Record::of_key(&record.key()), Some(record));
        }
        assert_eq!(hex(&entry_key(258)), "ff0000000000000102");
        assert_eq!(key_number(&entry_key(258)), Ok(258));
    }

    #[test]
    fn the_bytes_of_a_sealed_entry_are_golden() {
        let entry = Entry::new(
            LogId::new_term_index(2, 4),
            EntryPayload::Normal(Payload(Bytes::from_static(b"xy"))),
        );
        let sealed = seal_entry(&entry_key(4), &entry);
        assert_eq!(hex(&sealed), "24e1ab150000000000000002027879");
    }

    #[test]
    fn a_flipped_bit_or_another_key_breaks_the_seal() {
        let key = Record::Vote.key();
        let sealed = seal(&key, b"body");
        assert_eq!(unseal(&key, &sealed).unwrap(), "body");
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal(&key, &flipped).is_err());
        }
        assert!(unseal(&Record::Committed.key(), &sealed).is_err());
        assert!(unseal(&key, b"abc").is_err());
    }
}
