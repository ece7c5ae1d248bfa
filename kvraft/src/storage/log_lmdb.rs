//! `LmdbLog` is the log on a real disk: one LMDB environment with one unnamed database.

use std::io;
use std::ops::{Bound, Range};
use std::sync::Arc;

use bytes::Bytes;
use heed::types::Bytes as Raw;
use heed::{CommitOrAbort, Database, PutFlags, RoTxn, RwTxn};
use openraft::entry::RaftEntry;

use super::dir::DataDir;
use super::env::{Durability, Env};
use super::log_disk::{
    Batch, Key, LogDisk, LogRead, LogStep, Outline, Record, entry_key, key_number, peer_keys, seal,
    seal_entry, unseal,
};
use crate::codec::{DecodeError, Decoded, Reader};
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId};
use crate::record;

/// Freed pages are listed again at every commit: a purge frees at most about 256 of them at once.
const PURGE_CHUNK_BYTES: usize = 1 << 20;

/// An open log environment. Cheap to clone; clones share one environment.
#[derive(Clone)]
pub(crate) struct LmdbLog {
    db: Database<'static, Raw, Raw>,
    env: Env,
    counter: u64,
    /// Nothing is appended above this much, since a purge needs free pages to work with.
    append_limit: u64,
    /// Held as long as the environment is mapped; dropped after it.
    dir: Arc<DataDir>,
}

impl LmdbLog {
    /// Opens or creates the log of a data directory.
    pub(crate) fn open(dir: Arc<DataDir>, map_bytes: usize) -> Result<Self> {
        let env = Env::open(&dir.log_path(), map_bytes, Durability::NextCommit)?;
        // A killed process leaves pages that are only in the page cache: nothing may be trusted,
        // and no vote repeated, before they are on the disk.
        env.force_sync()?;
        let rtxn = env.read_txn()?;
        let db = env
            .open_databases_and_commit(rtxn, |opener, rtxn| {
                Ok::<_, heed::Error>(match opener.open_database::<Raw, Raw>(rtxn, None)? {
                    Some(db) => CommitOrAbort::Commit(db),
                    None => CommitOrAbort::Abort(()),
                })
            })?
            .commit()
            .ok_or_else(|| Error::internal("LMDB has no unnamed database"))?;
        let mut log = Self { db, env, counter: 0, append_limit: map_bytes as u64 / 4 * 3, dir };
        if let Some(body) = log.record(Record::Counter)? {
            log.counter =
                read_counter(body).map_err(|why| log.damaged("the batch counter", &why))?;
        }
        Ok(log)
    }

    fn write_batch(&mut self, batch: &Batch) -> heed::Result<bool> {
        let counter = self.counter.wrapping_add(1);
        let mut wtxn = self.env.write_txn()?;
        if !batch.steps.is_empty() && self.used_bytes(&wtxn)? > self.append_limit {
            return Err(heed::MdbError::MapFull.into());
        }
        self.put_record(&mut wtxn, Record::Counter, &counter.to_be_bytes())?;
        for (record, body) in &batch.records {
            self.put_record(&mut wtxn, *record, body)?;
        }
        for step in &batch.steps {
            self.write_step(&mut wtxn, step)?;
        }
        let left = match batch.purge {
            Some(through) => self.purge_chunk(&mut wtxn, through)?,
            None => false,
        };
        wtxn.commit()?;
        self.counter = counter;
        Ok(left)
    }

    /// Returns how much of the map holds entries or records; freed pages do not count.
    fn used_bytes(&self, rtxn: &RoTxn<'_>) -> heed::Result<u64> {
        let stat = self.db.stat(rtxn)?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok(pages as u64 * u64::from(stat.page_size))
    }

    fn put_record(&self, wtxn: &mut RwTxn<'_>, record: Record, body: &[u8]) -> heed::Result<()> {
        let key = record.key();
        self.db.put(wtxn, &key, &seal(&key, body))
    }

    fn write_step(&self, wtxn: &mut RwTxn<'_>, step: &LogStep) -> heed::Result<()> {
        match step {
            LogStep::Append(entries) => {
                for entry in entries {
                    let key = entry_key(entry.log_id().index());
                    let value = seal_entry(&key, entry);
                    // APPEND fails on a key that is not the largest, which would be a bug here.
                    self.db.put_with_flags(wtxn, PutFlags::APPEND, &key, &value)?;
                }
            }
            LogStep::Truncate { from } => {
                let (first, last) = (entry_key(*from), entry_key(u64::MAX));
                self.db.delete_range(wtxn, &closed(&first, &last))?;
            }
        }
        Ok(())
    }

    /// Removes entries up to `through` and returns whether some are left.
    fn purge_chunk(&self, wtxn: &mut RwTxn<'_>, through: u64) -> heed::Result<bool> {
        let (first, last) = (entry_key(0), entry_key(through));
        let mut bytes = 0;
        let mut end: Option<Vec<u8>> = None;
        let mut left = false;
        for item in self.db.range(wtxn, &closed(&first, &last))? {
            let (key, value) = item?;
            if end.is_some() && bytes + value.len() > PURGE_CHUNK_BYTES {
                left = true;
                break;
            }
            bytes += value.len();
            end = Some(key.to_vec());
        }
        if let Some(end) = end {
            self.db.delete_range(wtxn, &closed(&first, &end))?;
        }
        Ok(left)
    }

    fn read_entry(&self, key: &[u8], value: &[u8]) -> Result<Entry> {
        let index = key_number(key).map_err(|why| self.damaged("a key of the log", &why))?;
        unseal(key, value)
            .and_then(|body| record::read_entry_body(index, body))
            .map_err(|why| self.damaged(format_args!("log entry {index}"), &why))
    }

    fn read_record(&self, rtxn: &RoTxn<'_>, record: Record) -> Result<Option<Bytes>> {
        let key = record.key();
        let Some(value) = self.db.get(rtxn, &key)? else { return Ok(None) };
        unseal(&key, value)
            .map(Some)
            .map_err(|why| self.damaged(format_args!("the {record:?} record"), &why))
    }

    fn purged(&self, rtxn: &RoTxn<'_>) -> Result<Option<LogId>> {
        let Some(body) = self.read_record(rtxn, Record::Purged)? else { return Ok(None) };
        read_id(body).map(Some).map_err(|why| self.damaged("the purged log id", &why))
    }

    /// Counts the keys below `end`, without reading what they hold.
    fn count_below(&self, rtxn: &RoTxn<'_>, end: &Key) -> Result<u64> {
        let mut count = 0;
        for item in self.db.range(rtxn, &(Bound::Unbounded, Bound::Excluded(&end[..])))? {
            item?;
            count += 1;
        }
        Ok(count)
    }

    /// Returns the first with the last entry from index `from` on.
    fn edges(&self, rtxn: &RoTxn<'_>, from: u64) -> Result<Option<(Entry, Entry)>> {
        let (first, last) = (entry_key(from), entry_key(u64::MAX));
        let range = closed(&first, &last);
        let Some(first) = self.db.range(rtxn, &range)?.next().transpose()? else {
            return Ok(None);
        };
        let Some(last) = self.db.rev_range(rtxn, &range)?.next().transpose()? else {
            return Ok(None);
        };
        Ok(Some((self.read_entry(first.0, first.1)?, self.read_entry(last.0, last.1)?)))
    }

    /// Damage is told and never repaired by cutting: others may count on this node's entries.
    fn damaged(&self, what: impl std::fmt::Display, why: &DecodeError) -> Error {
        Error::corrupt(format!(
            "{what} in {} is damaged ({why}): this node may no longer vote or serve with what it \
             stored. The other members have the data: stop this node, move its data directory \
             away, and let it join again under a new node id",
            self.dir.log_path().display()
        ))
    }
}

impl LogDisk for LmdbLog {
    fn write(&mut self, batch: &Batch) -> io::Result<bool> {
        self.write_batch(batch).map_err(|error| self.dir.name_error(into_io(error)))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.env.force_sync().map_err(into_io)
    }

    fn room(&self) -> io::Result<u64> {
        let room = || {
            let rtxn = self.env.read_txn()?;
            let page_size = self.db.stat(&rtxn)?.page_size;
            Ok(self.env.file_bytes(page_size).saturating_sub(self.used_bytes(&rtxn)?))
        };
        room().map_err(into_io)
    }
}

impl LogRead for LmdbLog {
    fn entries(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let Some(last) = range.end.checked_sub(1) else { return Ok(entries) };
        let (first, last) = (entry_key(range.start), entry_key(last));
        let rtxn = self.env.read_txn()?;
        let mut bytes = 0;
        for item in self.db.range(&rtxn, &closed(&first, &last))? {
            let (key, value) = item?;
            bytes += value.len();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            let entry = self.read_entry(key, value)?;
            let index = entry.log_id().index();
            if entries.last().is_some_and(|before| before.log_id().index() + 1 != index) {
                let why = DecodeError::new("the entry before it is missing");
                return Err(self.damaged(format_args!("log entry {index}"), &why));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn record(&self, record: Record) -> Result<Option<Bytes>> {
        let rtxn = self.env.read_txn()?;
        self.read_record(&rtxn, record)
    }

    fn peers(&self) -> Result<Vec<(u64, Bytes)>> {
        let (first, last) = peer_keys();
        let rtxn = self.env.read_txn()?;
        let mut peers = Vec::new();
        for item in self.db.range(&rtxn, &closed(&first, &last))? {
            let (key, value) = item?;
            let read = key_number(key).and_then(|id| Ok((id, unseal(key, value)?)));
            peers.push(read.map_err(|why| self.damaged("a peer record", &why))?);
        }
        Ok(peers)
    }

    fn outline(&self) -> Result<Outline> {
        let rtxn = self.env.read_txn()?;
        let purged = self.purged(&rtxn)?;
        let live = purged.map_or(0, |id| id.index() + 1);
        let edges = self.edges(&rtxn, live)?;
        let edges = edges.map(|(first, last)| (first.log_id().index(), last.log_id()));
        let live_count = edges.map_or(0, |(first, last)| last.index() - first + 1);
        let records = self.count_below(&rtxn, &entry_key(0))?;
        let below = self.count_below(&rtxn, &entry_key(live))?;
        let gap = purged.is_some() && edges.is_some_and(|(first, _)| first != live);
        if gap || self.db.len(&rtxn)? != below + live_count {
            let why = DecodeError::new("entries are missing");
            return Err(self.damaged("the log", &why));
        }
        let used = self.used_bytes(&rtxn)?;
        Ok(Outline {
            purged,
            first: edges.map(|(first, _)| first),
            last: edges.map(|(_, last)| last).or(purged),
            bytes: edges.map_or(0, |_| used),
            purge_left: below > records,
        })
    }
}

fn closed<'a>(first: &'a [u8], last: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(first), Bound::Included(last))
}

fn read_counter(body: Bytes) -> Decoded<u64> {
    let mut reader = Reader::new(body);
    let counter = reader.u64()?;
    reader.finish()?;
    Ok(counter)
}

fn read_id(body: Bytes) -> Decoded<LogId> {
    let mut reader = Reader::new(body);
    let id = record::read_log_id(&mut reader)?;
    reader.finish()?;
    Ok(id)
}

/// Keeps apart what passes (no room) from what does not.
fn into_io(error: heed::Error) -> io::Error {
    match error {
        heed::Error::Io(error) => error,
        heed::Error::Mdb(heed::MdbError::MapFull) => {
            io::Error::new(io::ErrorKind::StorageFull, "the map of the log is full")
        }
        error @ (heed::Error::Mdb(_)
        | heed::Error::Encoding(_)
        | heed::Error::Decoding(_)
        | heed::Error::EnvAlreadyOpened) => io::Error::other(Error::from(error)),
    }
}
