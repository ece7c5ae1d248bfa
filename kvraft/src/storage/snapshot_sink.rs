//! `SnapshotSink` receives a snapshot into a staged state that nobody trusts before its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::command::LeaseNumber;
use crate::error::{Error, Result};
use crate::raft::{SnapshotMeta, StagedState};
use crate::storage::lease::lease_key_hash;
use crate::storage::row::RowId;
use crate::storage::snapshot_item::{Item, ItemReader};
use crate::storage::state_disk::Stage;
use crate::storage::state_record::{Head, Meta};
use crate::storage::tables::Tables;

/// Received records that one transaction writes.
const BATCH_BYTES: usize = 4 << 20;

/// Takes the chunks of one snapshot in order. Dropping it removes what was received.
pub(crate) struct SnapshotSink {
    stage: Option<Box<dyn Stage>>,
    /// What was announced; nothing is of one that comes from a backup.
    expected: Option<SnapshotMeta>,
    items: ItemReader,
    meta: Option<Box<Meta>>,
    seen: Seen,
    entries: Vec<(Bytes, Bytes)>,
    lease_keys: Vec<(LeaseNumber, Bytes)>,
    rows: Vec<(RowId, Bytes)>,
    batch_bytes: usize,
    /// Which sink this is, and which one is the newest.
    number: u64,
    newest: Arc<AtomicU64>,
}

/// What the received records add up to.
#[derive(Default)]
struct Seen {
    last_key: Bytes,
    last_row: Option<RowId>,
    len: u64,
    bytes: u64,
    rows: u64,
    entries_hash: u64,
    /// What the keys of leases add to the hash of the tables.
    lease_keys_hash: u64,
    tables: Tables,
}

impl SnapshotSink {
    pub(super) fn new(
        stage: Box<dyn Stage>,
        expected: SnapshotMeta,
        newest: Arc<AtomicU64>,
    ) -> Self {
        Self::start(stage, Some(expected), newest)
    }

    /// Receives what a backup holds, whatever that is of.
    pub(super) fn of_backup(stage: Box<dyn Stage>) -> Self {
        Self::start(stage, None, Arc::default())
    }

    fn start(
        stage: Box<dyn Stage>,
        expected: Option<SnapshotMeta>,
        newest: Arc<AtomicU64>,
    ) -> Self {
        let number = newest.fetch_add(1, Ordering::Relaxed) + 1;
        Self {
            stage: Some(stage),
            expected,
            items: ItemReader::default(),
            meta: None,
            seen: Seen::default(),
            entries: Vec::new(),
            lease_keys: Vec::new(),
            rows: Vec::new(),
            batch_bytes: 0,
            number,
            newest,
        }
    }

    /// Takes the next chunk, however the stream was cut. Writes the disk: it blocks.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are not what they claim, `Unavailable` if a newer snapshot is being
    /// received, `Full` or `Storage` if the disk refuses. The sink is of no use after any.
    pub(crate) fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.items.push(chunk);
        let taken = self.take_items();
        if taken.is_err() {
            // Removes the directory now: the owner may keep a sink that has failed for a while.
            self.stage = None;
        }
        taken
    }

    /// Completes the state, if all of it was received. Blocks.
    ///
    /// # Errors
    /// `Corrupt` if the stream is cut short, `Full` or `Storage` if the disk refuses.
    pub(crate) fn finish(self) -> Result<StagedState> {
        self.finish_as(Ok)
    }

    /// As [`finish`](Self::finish), with another meta record than the one that came.
    pub(super) fn finish_as(
        mut self,
        change: impl FnOnce(Meta) -> Result<Meta>,
    ) -> Result<StagedState> {
        self.check_newest()?;
        self.flush()?;
        match (self.stage.take(), self.meta.take()) {
            (Some(stage), Some(meta)) if self.items.is_complete() => stage.finish(&change(*meta)?),
            (None, _) => Err(used_up()),
            (Some(_), _) => Err(corrupt(DecodeError::new("it is cut short"))),
        }
    }

    fn take_items(&mut self) -> Result<()> {
        self.check_newest()?;
        while let Some(item) = self.items.next().map_err(corrupt)? {
            match item {
                Item::Header(meta) => self.take_header(meta)?,
                Item::Entry { key, record } => self.take_entry(key, record)?,
                Item::Row { id, record } => self.take_row(id, record)?,
                Item::Trailer { entries, rows } => self.check_sums(entries, rows)?,
            }
            if self.batch_bytes >= BATCH_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn check_newest(&self) -> Result<()> {
        if self.newest.load(Ordering::Relaxed) == self.number {
            return Ok(());
        }
        Err(Error::unavailable("a newer snapshot is being received"))
    }

    fn take_header(&mut self, meta: Box<Meta>) -> Result<()> {
        if let Some(SnapshotMeta { last_log_id, last_membership }) = &self.expected
            && (meta.applied != *last_log_id || *meta.membership != *last_membership)
        {
            return Err(corrupt(DecodeError::new("it is not the one that was announced")));
        }
        self.meta = Some(meta);
        Ok(())
    }

    fn take_entry(&mut self, key: Bytes, record: Bytes) -> Result<()> {
        if key <= self.seen.last_key || self.seen.last_row.is_some() {
            return Err(out_of_order());
        }
        let (head, _) = Head::decode(&key, &record)?;
        self.seen.len += 1;
        self.seen.bytes += key.len() as u64 + head.value_bytes;
        self.seen.entries_hash = self.seen.entries_hash.wrapping_add(head.hash());
        self.seen.last_key = key.clone();
        if head.lease != 0 {
            let hash = lease_key_hash(head.lease, &key);
            self.seen.lease_keys_hash = self.seen.lease_keys_hash.wrapping_add(hash);
            self.lease_keys.push((head.lease, key.clone()));
        }
        self.batch_bytes += key.len() + record.len();
        self.entries.push((key, record));
        Ok(())
    }

    fn take_row(&mut self, id: RowId, record: Bytes) -> Result<()> {
        if self.seen.last_row.as_ref().is_some_and(|last| id <= *last) {
            return Err(out_of_order());
        }
        self.seen.tables.take(id.clone(), record.clone()).map_err(corrupt)?;
        self.seen.rows += 1;
        self.seen.last_row = Some(id.clone());
        self.batch_bytes += record.len();
        self.rows.push((id, record));
        Ok(())
    }

    /// Compares what came with what the sender counted, twice: in the stream and in its state.
    fn check_sums(&self, entries: u64, rows: u64) -> Result<()> {
        let seen = &self.seen;
        let complete = self.meta.as_ref().is_some_and(|meta| {
            (meta.len, meta.bytes) == (seen.len, seen.bytes)
                && (meta.entries_hash, meta.tables_hash)
                    == (seen.entries_hash, seen.tables.hash().wrapping_add(seen.lease_keys_hash))
        });
        if complete && (entries, rows) == (seen.len, seen.rows) {
            return Ok(());
        }
        Err(corrupt(DecodeError::new("its records do not add up to its state")))
    }

    fn flush(&mut self) -> Result<()> {
        let stage = self.stage.as_mut().ok_or_else(used_up)?;
        if !self.entries.is_empty() {
            stage.put_entries(&self.entries)?;
            self.entries.clear();
        }
        if !self.lease_keys.is_empty() {
            stage.put_lease_keys(&self.lease_keys)?;
            self.lease_keys.clear();
        }
        if !self.rows.is_empty() {
            stage.put_rows(&self.rows)?;
            self.rows.clear();
        }
        self.batch_bytes = 0;
        Ok(())
    }
}

fn corrupt(error: DecodeError) -> Error {
    Error::corrupt("the received snapshot is damaged and was dropped").with_source(error)
}

fn out_of_order() -> Error {
    corrupt(DecodeError::new("its records are out of order"))
}

fn used_up() -> Error {
    Error::internal("a snapshot sink was used after it had failed")
}
