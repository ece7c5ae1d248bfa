//! `Env` is an LMDB environment, opened the one way kvraft opens them; the only `unsafe` here.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use heed::{EnvFlags, EnvOpenOptions, WithoutTls};

use super::dir::DataDir;
use crate::error::{Error, ErrorKind, Result};

/// Readers that one environment can have at a time: every view holds a few, scans hold views.
const MAX_READERS: u32 = 1024;
/// Named databases that the state environment may grow to have.
const MAX_DATABASES: u32 = 16;

/// Address space of an environment that is only read, at least.
const READ_MAP_BYTES: usize = 1 << 20;

/// What the end of a whole file may lack: pages that were taken and freed by one transaction are
/// counted and never written.
const UNWRITTEN_BYTES: u64 = 1 << 20;

/// An open LMDB environment. Cheap to clone; it closes when the last clone is gone.
#[derive(Clone)]
pub(super) struct Env {
    env: heed::Env<WithoutTls>,
    /// The lock that an open environment needs; given back after it is closed.
    dir: Option<Arc<DataDir>>,
}

/// When a commit is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// A commit is durable when it returns (two flushes).
    EveryCommit,
    /// A commit is durable when the next one returns, or after `force_sync` (one flush).
    NextCommit,
    /// Nothing is durable before `force_sync`: only for files that nobody trusts until then.
    OnSync,
}

impl Env {
    /// Opens or creates the environment in the existing directory `path`.
    ///
    /// `map_bytes` is address space, not disk: it is reserved at once and the file grows lazily.
    pub(super) fn open(path: &Path, map_bytes: usize, durability: Durability) -> Result<Self> {
        let flags = match durability {
            Durability::EveryCommit => EnvFlags::empty(),
            Durability::NextCommit => EnvFlags::NO_META_SYNC,
            Durability::OnSync => EnvFlags::NO_SYNC,
        };
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(map_bytes).max_readers(MAX_READERS).max_dbs(MAX_DATABASES);
        let env = open_exclusive(&options, flags, path).map_err(|error| {
            Error::from(error)
                .context(format_args!("cannot open the LMDB environment {}", path.display()))
        })?;
        // A killed process leaves its reader slots behind, and they would pin old pages.
        env.clear_stale_readers()?;
        Ok(Self { env, dir: None })
    }

    /// Opens an existing environment without changing a byte of it; no lock file is made either.
    ///
    /// What is cut off is named here, since reading it would end the process.
    pub(super) fn open_to_read(path: &Path) -> Result<Self> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        // LMDB raises it to what the file says that it has.
        options.map_size(READ_MAP_BYTES).max_readers(MAX_READERS).max_dbs(MAX_DATABASES);
        let env = open_exclusive(&options, EnvFlags::READ_ONLY | EnvFlags::NO_LOCK, path)?;
        let pages = env.info().last_page_number as u64 + 1;
        let has = env.real_disk_size()?;
        let wanted = pages.saturating_mul(env.unnamed_database_stat().page_size.into());
        if has.saturating_add(UNWRITTEN_BYTES) < wanted {
            return Err(Error::corrupt(format!("the file has {has} bytes of {wanted}")));
        }
        Ok(Self { env, dir: None })
    }

    /// Holds the data directory for as long as the environment is open.
    #[must_use]
    pub(super) fn keeping(mut self, dir: Option<Arc<DataDir>>) -> Self {
        self.dir = dir;
        self
    }

    /// Returns how many bytes of the file are pages of the map, freed ones too: it never shrinks.
    pub(super) fn file_bytes(&self, page_size: u32) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * u64::from(page_size)
    }

    /// Names the error of a commit: LMDB reports a disk without room as one that is broken.
    pub(super) fn commit_error(&self, error: heed::Error) -> Error {
        match (error, &self.dir) {
            (heed::Error::Io(error), Some(dir)) => heed::Error::Io(dir.name_error(error)).into(),
            (error, _) => error.into(),
        }
    }
}

/// Opens an environment that no other process has open.
#[expect(unsafe_code, reason = "LMDB maps a file into memory")]
fn open_exclusive(
    options: &EnvOpenOptions<WithoutTls>,
    flags: EnvFlags,
    path: &Path,
) -> heed::Result<heed::Env<WithoutTls>> {
    let mut options = options.clone();
    // SAFETY: the flags passed change when a commit is durable, not what the process sees in the
    // map, and a file written with NO_SYNC is trusted only after `force_sync`; or nothing is
    // written at all, and then LMDB's lock is not needed beside the one that the caller holds.
    unsafe { options.flags(flags) };
    // SAFETY: the caller holds the lock of the data directory, so that no other process truncates
    // or rewrites the mapped file; within the process heed refuses to open a path twice.
    unsafe { options.open(path) }
}

impl Deref for Env {
    type Target = heed::Env<WithoutTls>;

    fn deref(&self) -> &Self::Target {
        &self.env
    }
}

impl From<heed::Error> for Error {
    fn from(error: heed::Error) -> Self {
        if is_full(&error) {
            return Self::new(ErrorKind::Full, "the disk or its map is full").with_source(error);
        }
        if matches!(error, heed::Error::EnvAlreadyOpened) {
            let still_open = "this process still has it open: close that map, and drop its scans";
            return Self::new(ErrorKind::Refused, still_open);
        }
        let kind = match &error {
            heed::Error::Mdb(
                heed::MdbError::Corrupted | heed::MdbError::PageNotFound | heed::MdbError::Invalid,
            )
            | heed::Error::Decoding(_) => ErrorKind::Corrupt,
            heed::Error::Mdb(_)
            | heed::Error::Io(_)
            | heed::Error::Encoding(_)
            | heed::Error::EnvAlreadyOpened => ErrorKind::Storage,
        };
        Self::new(kind, "the disk failed").with_source(error)
    }
}

/// Returns whether there was no room: nothing was written, and the environment stays usable.
fn is_full(error: &heed::Error) -> bool {
    match error {
        heed::Error::Mdb(error) => matches!(error, heed::MdbError::MapFull),
        heed::Error::Io(error) => matches!(
            error.kind(),
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
        ),
        heed::Error::Encoding(_) | heed::Error::Decoding(_) | heed::Error::EnvAlreadyOpened => {
            false
        }
    }
}
