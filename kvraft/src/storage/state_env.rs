//! `StateEnv` is the LMDB environment of one generation of the state.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use heed::types::Bytes as Raw;
use heed::{CommitOrAbort, Database, DatabaseFlags, PutFlags, RoTxn, RwTxn, WithoutTls};

use crate::codec::DecodeError;
use crate::command::{KeyRange, LeaseNumber};
use crate::error::{Error, Result};
use crate::storage::buffer::Slot;
use crate::storage::dir::DataDir;
use crate::storage::env::{Durability, Env};
use crate::storage::row::RowId;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded, Order, Visit};
use crate::storage::state_record::{META_KEY, Meta, OWNER_KEY, Record, decode_owner, encode_owner};
use crate::storage::tables::Tables;

/// Read transactions of one view: readers of different threads rarely wait for each other.
const READERS: usize = 4;

type Table = Database<'static, Raw, Raw>;
/// Takes a raw key and its raw value.
type Look<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// An open environment and its tables. Cheap to clone.
#[derive(Clone)]
pub(super) struct StateEnv {
    env: Env,
    data: Table,
    meta: Table,
    /// The small tables, one record a row.
    rows: Table,
    /// Lease numbers with their keys, which fill LMDB's longest key, as duplicate values.
    lease_keys: Table,
}

impl StateEnv {
    pub(super) fn open(path: &Path, map_bytes: usize, durability: Durability) -> Result<Self> {
        let env = Env::open(path, map_bytes, durability)?;
        let wtxn = env.write_txn()?;
        let tables = env.create_databases_and_commit(wtxn, |opener, wtxn| -> heed::Result<_> {
            let data = opener.create_database::<Raw, Raw>(wtxn, Some("data"))?;
            let meta = opener.create_database::<Raw, Raw>(wtxn, Some("meta"))?;
            let rows = opener.create_database::<Raw, Raw>(wtxn, Some("rows"))?;
            let mut duplicates = opener.database_options().types::<Raw, Raw>();
            duplicates.name("lease_keys").flags(DatabaseFlags::DUP_SORT);
            let lease_keys = duplicates.create(wtxn)?;
            Ok(CommitOrAbort::<_, ()>::Commit([data, meta, rows, lease_keys]))
        })?;
        let [data, meta, rows, lease_keys] =
            tables.commit().ok_or_else(|| Error::internal("the tables were not created"))?;
        Ok(Self { env, data, meta, rows, lease_keys })
    }

    /// Opens an environment that is there, to look at it and to change nothing.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let env = Env::open_to_read(path)?;
        let tables = env.open_databases_and_commit(env.read_txn()?, |opener, rtxn| {
            let mut duplicates = opener.database_options().types::<Raw, Raw>();
            duplicates.name("lease_keys").flags(DatabaseFlags::DUP_SORT);
            let of = |name| opener.open_database::<Raw, Raw>(rtxn, Some(name));
            let found = [of("data")?, of("meta")?, of("rows")?, duplicates.open(rtxn)?];
            Ok::<_, heed::Error>(match found {
                [Some(data), Some(meta), Some(rows), Some(keys)] => {
                    CommitOrAbort::Commit([data, meta, rows, keys])
                }
                _ => CommitOrAbort::Abort(()),
            })
        })?;
        let missing = || Error::corrupt("a table is missing");
        let [data, meta, rows, lease_keys] = tables.commit().ok_or_else(missing)?;
        Ok(Self { env, data, meta, rows, lease_keys })
    }

    /// Holds the data directory for as long as the environment or a view of it is open.
    #[must_use]
    pub(super) fn keeping(mut self, dir: Option<Arc<DataDir>>) -> Self {
        self.env = self.env.keeping(dir);
        self
    }

    /// Returns whose state this is.
    pub(super) fn owner(&self) -> Result<u64> {
        let rtxn = self.env.read_txn()?;
        let bytes = self.meta.get(&rtxn, OWNER_KEY)?.unwrap_or_default();
        decode_owner(Bytes::copy_from_slice(bytes)).map_err(|e| damaged("owner", e))
    }

    pub(super) fn meta(&self) -> Result<Meta> {
        let rtxn = self.env.read_txn()?;
        self.read_meta(&rtxn)
    }

    fn read_meta(&self, rtxn: &RoTxn<'_>) -> Result<Meta> {
        let bytes = self.meta.get(rtxn, META_KEY)?.unwrap_or_default();
        Meta::decode(Bytes::copy_from_slice(bytes)).map_err(|e| damaged("meta", e))
    }

    /// Reads all that is kept in memory, and opens a view that shows exactly that.
    ///
    /// The caller sees to it that no writer runs meanwhile.
    pub(super) fn load(&self) -> Result<Loaded> {
        let rtxn = self.env.read_txn()?;
        let meta = self.read_meta(&rtxn)?;
        let tables = self.read_tables(&rtxn)?;
        if tables.hash() != meta.tables_hash {
            return Err(damaged("row", DecodeError::new("a record is missing")));
        }
        if self.data.len(&rtxn)? != meta.len {
            return Err(damaged(
                "meta",
                DecodeError::new("it counts other entries than there are"),
            ));
        }
        Ok(Loaded { meta, tables, view: self.view()? })
    }

    pub(super) fn visit_meta(&self, visit: &mut Look<'_>) -> Result<()> {
        self.visit(self.meta, visit)
    }

    pub(super) fn visit_entries(&self, visit: &mut Look<'_>) -> Result<()> {
        self.visit(self.data, visit)
    }

    pub(super) fn visit_rows(&self, visit: &mut Look<'_>) -> Result<()> {
        self.visit(self.rows, visit)
    }

    pub(super) fn visit_lease_keys(&self, visit: &mut Look<'_>) -> Result<()> {
        self.visit(self.lease_keys, visit)
    }

    fn visit(&self, table: Table, visit: &mut Look<'_>) -> Result<()> {
        let rtxn = self.env.read_txn()?;
        for item in table.iter(&rtxn)? {
            let (key, value) = item?;
            visit(key, value);
        }
        Ok(())
    }

    fn read_tables(&self, rtxn: &RoTxn<'_>) -> Result<Tables> {
        let mut tables = Tables::default();
        for item in self.rows.iter(rtxn)? {
            let (key, bytes) = item?;
            RowId::of_key(Bytes::copy_from_slice(key))
                .and_then(|id| tables.take(id, Bytes::copy_from_slice(bytes)))
                .map_err(|e| damaged("row", e))?;
        }
        for item in self.lease_keys.iter(rtxn)? {
            let (lease, key) = item?;
            let lease = <[u8; 8]>::try_from(lease).map(u64::from_be_bytes);
            lease
                .map_err(|_| DecodeError::new("a lease of wrong length"))
                .and_then(|lease| tables.take_lease_key(lease, Bytes::copy_from_slice(key)))
                .map_err(|e| damaged("lease", e))?;
        }
        Ok(tables)
    }

    /// Opens a view of the last commit; the caller sees to it that no writer runs meanwhile.
    fn view(&self) -> Result<Arc<dyn DiskView>> {
        let open = || (*self.env).clone().static_read_txn().map(Mutex::new);
        let readers = (0..READERS).map(|_| open()).collect::<heed::Result<Vec<_>>>()?;
        let next = AtomicUsize::new(0);
        Ok(Arc::new(EnvView { data: self.data, readers, next, _env: self.env.clone() }))
    }

    /// Commits a checkpoint and opens a view of it; called by one thread at a time.
    pub(super) fn commit(&self, checkpoint: &Checkpoint) -> Result<Arc<dyn DiskView>> {
        let mut wtxn = self.env.write_txn()?;
        self.write_entries(&mut wtxn, checkpoint)?;
        self.write_tables(&mut wtxn, checkpoint)?;
        self.meta.put(&mut wtxn, META_KEY, &checkpoint.meta.encode())?;
        wtxn.commit().map_err(|error| self.env.commit_error(error))?;
        self.view()
    }

    fn write_tables(&self, wtxn: &mut RwTxn<'_>, checkpoint: &Checkpoint) -> Result<()> {
        for id in &checkpoint.changed.rows {
            match checkpoint.tables.record(id) {
                Some(record) => self.rows.put(wtxn, &id.key(), &record)?,
                None => {
                    self.rows.delete(wtxn, &id.key())?;
                }
            }
        }
        for ((lease, key), tied) in &checkpoint.changed.lease_keys {
            let lease = lease.to_be_bytes();
            if *tied {
                self.lease_keys.put(wtxn, &lease, key)?;
            } else {
                self.lease_keys.delete_one_duplicate(wtxn, &lease, key)?;
            }
        }
        Ok(())
    }

    fn write_entries(&self, wtxn: &mut RwTxn<'_>, checkpoint: &Checkpoint) -> Result<()> {
        for range in checkpoint.entries.erased().ranges() {
            let range = (borrowed(&range.0), borrowed(&range.1));
            self.data.delete_range(wtxn, &range)?;
        }
        let mut bytes = Vec::new();
        for (key, slot) in checkpoint.entries.iter() {
            match slot {
                Slot::Put(record) => {
                    bytes.clear();
                    record.encode(&mut bytes);
                    self.data.put(wtxn, key, &bytes)?;
                }
                Slot::Tombstone => {
                    self.data.delete(wtxn, key)?;
                }
            }
        }
        Ok(())
    }

    /// Adds raw entries behind all that are there.
    pub(super) fn append_entries(&self, entries: &[(Bytes, Bytes)]) -> Result<()> {
        let mut wtxn = self.env.write_txn()?;
        for (key, record) in entries {
            self.data.put_with_flags(&mut wtxn, PutFlags::APPEND, key, record)?;
        }
        Ok(wtxn.commit()?)
    }

    /// Adds raw rows behind all that are there.
    pub(super) fn append_rows(&self, rows: &[(RowId, Bytes)]) -> Result<()> {
        let mut wtxn = self.env.write_txn()?;
        for (id, record) in rows {
            self.rows.put_with_flags(&mut wtxn, PutFlags::APPEND, &id.key(), record)?;
        }
        Ok(wtxn.commit()?)
    }

    /// Ties keys to their leases.
    pub(super) fn add_lease_keys(&self, keys: &[(LeaseNumber, Bytes)]) -> Result<()> {
        let mut wtxn = self.env.write_txn()?;
        for (lease, key) in keys {
            self.lease_keys.put(&mut wtxn, &lease.to_be_bytes(), key)?;
        }
        Ok(wtxn.commit()?)
    }

    /// Writes what makes the environment a whole state, syncs it and closes it.
    pub(super) fn complete(self, meta: &Meta, owner: u64) -> Result<()> {
        let mut wtxn = self.env.write_txn()?;
        self.meta.put(&mut wtxn, META_KEY, &meta.encode())?;
        self.meta.put(&mut wtxn, OWNER_KEY, &encode_owner(owner))?;
        wtxn.commit()?;
        self.env.force_sync()?;
        self.close();
        Ok(())
    }

    /// Closes the environment now; nobody else may hold it.
    pub(super) fn close(self) {
        let closing = (*self.env).clone().prepare_for_closing();
        drop(self);
        closing.wait();
    }

    /// Returns the bytes of the pages in use: the file is as large as it ever had to be.
    pub(super) fn used_bytes(&self) -> Result<u64> {
        let rtxn = self.env.read_txn()?;
        let mut used = 0;
        for table in [self.data, self.meta, self.rows, self.lease_keys] {
            let stat = table.stat(&rtxn)?;
            let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
            used += pages as u64 * u64::from(stat.page_size);
        }
        Ok(used)
    }

    /// Returns the bytes of the freed pages in the file.
    pub(super) fn room(&self) -> Result<u64> {
        let rtxn = self.env.read_txn()?;
        let page_size = self.data.stat(&rtxn)?.page_size;
        drop(rtxn);
        Ok(self.env.file_bytes(page_size).saturating_sub(self.used_bytes()?))
    }
}

/// Several read transactions of one commit.
struct EnvView {
    data: Table,
    readers: Vec<Mutex<RoTxn<'static, WithoutTls>>>,
    next: AtomicUsize,
    /// Dropped after the readers, which it keeps the directory for.
    _env: Env,
}

impl EnvView {
    /// Takes a transaction that nobody reads with, or waits for one.
    fn reader(&self) -> MutexGuard<'_, RoTxn<'static, WithoutTls>> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        let (before, after) = self.readers.split_at(first);
        let mut in_turn = after.iter().chain(before);
        in_turn.find_map(|reader| reader.try_lock().ok()).unwrap_or_else(|| {
            let reader = self.readers.get(first).expect("first is below READERS");
            // A panic elsewhere leaves a read transaction as it was.
            reader.lock().unwrap_or_else(PoisonError::into_inner)
        })
    }
}

impl DiskView for EnvView {
    fn record(&self, key: &[u8]) -> Result<Option<Record>> {
        let rtxn = self.reader();
        let Some(bytes) = self.data.get(&rtxn, key)? else { return Ok(None) };
        Record::decode(key, bytes).map(Some)
    }

    fn scan(&self, range: &KeyRange, order: Order, visit: &mut Visit<'_>) -> Result<()> {
        let rtxn = self.reader();
        let range = (borrowed(&range.0), borrowed(&range.1));
        match order {
            Order::Forward => drain(self.data.range(&rtxn, &range)?, visit),
            Order::Reverse => drain(self.data.rev_range(&rtxn, &range)?, visit),
        }
    }
}

fn borrowed(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(AsRef::as_ref)
}

fn drain<'t>(
    items: impl Iterator<Item = heed::Result<(&'t [u8], &'t [u8])>>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    for item in items {
        let (key, record) = item?;
        if visit(key, record)? == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(())
}

fn damaged(what: &str, error: DecodeError) -> Error {
    Error::corrupt(format!(
        "the {what} record of the state is damaged: remove this node's data directory and let it \
         fetch its state from the others, or restore a backup"
    ))
    .with_source(error)
}
