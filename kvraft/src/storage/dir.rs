//! `DataDir` is the directory of a node, held by one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind as IoKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{lock, unfinished};
use crate::error::{Error, Result};

/// The layout of the directory; a newer one is left alone.
const FORMAT: u32 = 1;
/// Room that a full disk gives back: enough for some hundred batches of deletes.
const BALLAST_BYTES: u64 = 16 << 20;
/// More than what is left when a write of pages was cut short.
const PROBE_BYTES: u64 = 1 << 20;
/// What this process may take from the directory's files is nobody else's.
const DIR_MODE: u32 = 0o700;

/// An open data directory; the lock on it is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Whether the ballast file holds its blocks.
    ballast: Mutex<bool>,
    _lock: File,
    /// Dropped after the lock.
    gone: GoneSignal,
}

/// Tells when a data directory is free again. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gone(Arc<(Mutex<bool>, Condvar)>);

impl Gone {
    /// Waits until the directory is free; returns whether it is. Blocks.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let (gone, changed) = &*self.0;
        let waited = changed.wait_timeout_while(lock(gone), timeout, |gone| !*gone);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[derive(Debug)]
struct GoneSignal(Gone);

impl Drop for GoneSignal {
    fn drop(&mut self) {
        let (gone, changed) = &*self.0.0;
        *lock(gone) = true;
        changed.notify_all();
    }
}

/// Room on the disk that is given back when the disk is full.
pub(crate) trait Ballast: Send + Sync + 'static {
    /// Frees the room, if it is still held.
    fn release(&self);
    /// Takes the room again; returns whether it is held.
    fn restore(&self) -> bool;
}

impl DataDir {
    /// Opens the data directory `path`, which is created if it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        create(path)?;
        let path = path.canonicalize().map_err(|error| unusable(path, "resolve", error))?;
        let held = take_lock(&path)?;
        unfinished::refuse(&path)?;
        Self::open_held(path, held)
    }

    /// Opens `path` to make a new node's directory of it: one that is empty or missing, or that
    /// was left unfinished. Nobody else opens it before [`finish`](Self::finish).
    pub(crate) fn begin(path: &Path) -> Result<Self> {
        create(path)?;
        let path = path.canonicalize().map_err(|error| unusable(path, "resolve", error))?;
        let held = take_lock(&path)?;
        unfinished::begin(&path)?;
        Self::open_held(path, held)
    }

    /// Makes a directory that was begun one that may be opened, durably.
    pub(crate) fn finish(&self) -> Result<()> {
        unfinished::finish(&self.path)
    }

    fn open_held(path: PathBuf, held: File) -> Result<Self> {
        probe(&path)?;
        settle_format(&path)?;
        for part in ["log", "state"] {
            create_part(&path.join(part)).map_err(|error| unusable(&path, "write to", error))?;
        }
        sync_dir(&path).map_err(|error| unusable(&path, "flush", error))?;
        let dir = Self {
            path,
            ballast: Mutex::new(false),
            _lock: held,
            gone: GoneSignal(Gone::default()),
        };
        if !dir.restore() {
            tracing::warn!(
                path = %dir.path.display(),
                bytes = BALLAST_BYTES,
                "no room is held back for a full disk: free some space on this file system"
            );
        }
        Ok(dir)
    }

    /// Returns what tells that the last holder of this directory has gone.
    pub(crate) fn gone(&self) -> Gone {
        self.gone.0.clone()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log environment lives; the directory exists.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the generations of the state live; the directory exists.
    pub(crate) fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    /// Returns the true name of an error of LMDB's: it reports a short write, which is how a disk
    /// fills up, as EIO.
    pub(super) fn name_error(&self, error: io::Error) -> io::Error {
        if error.raw_os_error() != Some(Errno::IO.raw_os_error()) {
            return error;
        }
        match self.probe_room() {
            Err(full) if is_full(&full) => full,
            Ok(()) | Err(_) => error,
        }
    }

    /// Tries to allocate a little; after a short write even that is not there.
    fn probe_room(&self) -> io::Result<()> {
        // The lock keeps the two sides of the storage from probing at once.
        let _held = lock(&self.ballast);
        let path = self.path.join("probe");
        let file = File::create(&path)?;
        let room = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, PROBE_BYTES);
        remove_if_there(&path)?;
        Ok(room?)
    }

    fn ballast_path(&self) -> PathBuf {
        self.path.join("ballast")
    }

    fn allocate_ballast(&self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.ballast_path())?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BALLAST_BYTES)?;
        file.sync_all()
    }

    fn remove_ballast(&self) -> io::Result<()> {
        remove_if_there(&self.ballast_path())?;
        // Journaling file systems hand freed blocks out only after the journal is on the disk.
        sync_dir(&self.path)
    }
}

impl Ballast for DataDir {
    fn release(&self) {
        let mut held = lock(&self.ballast);
        if !*held {
            return;
        }
        match self.remove_ballast() {
            Ok(()) => *held = false,
            Err(error) => tracing::warn!(%error, "cannot release the ballast file"),
        }
    }

    fn restore(&self) -> bool {
        let mut held = lock(&self.ballast);
        if *held {
            return true;
        }
        match self.allocate_ballast() {
            Ok(()) => *held = true,
            Err(error) => {
                tracing::debug!(%error, "cannot allocate the ballast file");
                // A part of it would only make a full disk fuller.
                if let Err(error) = self.remove_ballast() {
                    tracing::warn!(%error, "cannot remove the ballast file");
                }
            }
        }
        *held
    }
}

/// Holds an existing data directory of any format, and returns its path.
pub(super) fn hold(path: &Path) -> Result<(PathBuf, File)> {
    let path = path.canonicalize().map_err(|error| unusable(path, "find", error))?;
    if !path.join("FORMAT").exists() {
        let at = path.display();
        return Err(Error::refused(format!("{at} is no data directory: it has no FORMAT")));
    }
    let held = take_lock(&path)?;
    unfinished::refuse(&path)?;
    Ok((path, held))
}

/// Fails if a data directory that is held is of a format that this version does not read.
pub(super) fn check_readable(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path.join("FORMAT"));
    check_format(path, &text.map_err(|error| unusable(path, "read FORMAT in", error))?)
}

fn create(path: &Path) -> Result<()> {
    create_part(path).map_err(|error| unusable(path, "create", error))
}

fn take_lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| unusable(dir, "open LOCK in", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut file)),
        Err(TryLockError::Error(error)) => return Err(unusable(dir, "lock", error)),
    }
    if let Err(error) = write_owner(&mut file) {
        // Only the message to a second opener gets poorer by this.
        tracing::debug!(%error, "cannot write the process id into LOCK");
    }
    Ok(file)
}

fn write_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn in_use(dir: &Path, file: &mut File) -> Error {
    let mut owner = String::new();
    let process = match file.read_to_string(&mut owner) {
        Ok(_) if owner.trim() == std::process::id().to_string() => "this process".to_owned(),
        Ok(_) if !owner.trim().is_empty() => format!("process {}", owner.trim()),
        Ok(_) | Err(_) => "another process".to_owned(),
    };
    Error::refused(format!(
        "the data directory {} is in use by {process}: close that node first, or give this one a \
         directory of its own",
        dir.display()
    ))
}

/// Shows that a file can be written and flushed, so that a wrong owner is found at once.
fn probe(dir: &Path) -> Result<()> {
    let path = dir.join("probe");
    let mut tried = write_probe(&path);
    if tried.as_ref().is_err_and(is_full) {
        // A disk that was full when the node stopped must not keep it from starting.
        tried = remove_if_there(&dir.join("ballast"))
            .and_then(|()| sync_dir(dir))
            .and_then(|()| write_probe(&path));
    }
    tried.and_then(|()| remove_if_there(&path)).map_err(|error| unusable(dir, "write to", error))
}

fn write_probe(path: &Path) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(b"kvraft")?;
    file.sync_all()
}

fn settle_format(dir: &Path) -> Result<()> {
    let path = dir.join("FORMAT");
    match fs::read_to_string(&path) {
        Ok(text) => check_format(dir, &text),
        Err(error) if error.kind() == IoKind::NotFound => {
            if dir.join("log").exists() || dir.join("state").exists() {
                return Err(Error::corrupt(format!(
                    "the data directory {} has lost its FORMAT file: restore the directory whole, \
                     or move it away and let this node join again",
                    dir.display()
                )));
            }
            write_format(dir).map_err(|error| unusable(dir, "write FORMAT to", error))
        }
        Err(error) => Err(unusable(dir, "read FORMAT in", error)),
    }
}

fn check_format(dir: &Path, text: &str) -> Result<()> {
    let version = text.strip_prefix("kvraft ").and_then(|rest| rest.trim_end().parse::<u32>().ok());
    match version {
        Some(FORMAT) => Ok(()),
        Some(version) if version > FORMAT => Err(Error::refused(format!(
            "the data directory {} has format {version}, this kvraft reads up to {FORMAT}: open it \
             with the newer kvraft that wrote it",
            dir.display()
        ))),
        Some(_) | None => Err(Error::corrupt(format!(
            "the FORMAT file in {} is damaged (it reads {text:?}): restore the directory whole, or \
             move it away and let this node join again",
            dir.display()
        ))),
    }
}

fn write_format(dir: &Path) -> io::Result<()> {
    let draft = dir.join("FORMAT.new");
    let mut file = File::create(&draft)?;
    writeln!(file, "kvraft {FORMAT}")?;
    file.sync_all()?;
    fs::rename(draft, dir.join("FORMAT"))?;
    sync_dir(dir)
}

fn create_part(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != IoKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Returns whether an error says that there is no room, which passes, and not that a disk failed.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), IoKind::StorageFull | IoKind::QuotaExceeded)
}

pub(super) fn unusable(dir: &Path, doing: &str, error: io::Error) -> Error {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let owner = fs::metadata(dir).map_or_else(
        |_| String::new(),
        |dir| {
            let mode = dir.mode() & 0o7777;
            format!(" (owned by uid {}, gid {}, mode {mode:04o})", dir.uid(), dir.gid())
        },
    );
    let at = dir.display();
    let message = format!("cannot {doing} the data directory {at}{owner} as uid {uid}, gid {gid}");
    let kind = error.kind();
    if matches!(kind, IoKind::PermissionDenied | IoKind::ReadOnlyFilesystem) {
        Error::refused(format!(
            "{message}: make it writable for this user, or choose another data directory"
        ))
    } else if matches!(kind, IoKind::NotADirectory | IoKind::AlreadyExists) {
        Error::refused(format!("{message}: the path is not a directory, choose another"))
    } else {
        Error::storage(format!("{message}: check the disk and its free space"))
    }
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_second_opener_is_refused_until_the_first_is_gone() {
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(temp.path()).unwrap();
        let error = DataDir::open(temp.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("this process"), "{error}");
        drop(first);
        DataDir::open(temp.path()).unwrap();
    }

    #[test]
    fn a_missing_directory_is_born_private_with_its_layout() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join("FORMAT")).unwrap(), "kvraft 1\n");
        assert!(dir.log_path().is_dir());
        assert!(dir.state_path().is_dir());
        assert!(!path.join("probe").exists());
    }

    #[test]
    fn the_ballast_holds_blocks_until_it_is_released_and_again_when_restored() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let blocks = fs::metadata(dir.ballast_path()).unwrap().blocks();
        assert!(blocks * 512 >= BALLAST_BYTES, "{blocks}");
        dir.release();
        assert!(!dir.ballast_path().exists());
        assert!(dir.restore());
        assert!(dir.ballast_path().exists());
    }

    #[test]
    fn a_newer_format_asks_for_a_newer_kvraft() {
        let temp = tempfile::tempdir().unwrap();
        drop(DataDir::open(temp.path()).unwrap());
        fs::write(temp.path().join("FORMAT"), "kvraft 2\n").unwrap();
        let error = DataDir::open(temp.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("newer kvraft"), "{error}");
    }

    #[test]
    fn a_damaged_or_lost_format_is_corrupt() {
        let temp = tempfile::tempdir().unwrap();
        drop(DataDir::open(temp.path()).unwrap());
        fs::write(temp.path().join("FORMAT"), "kvr").unwrap();
        assert_eq!(DataDir::open(temp.path()).unwrap_err().kind(), ErrorKind::Corrupt);
        fs::remove_file(temp.path().join("FORMAT")).unwrap();
        assert_eq!(DataDir::open(temp.path()).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_path_that_is_a_file_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("file");
        fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    }

    #[test]
    fn a_directory_without_permission_names_owner_user_and_mode() {
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o500)).unwrap();
        let error = unusable(temp.path(), "write to", IoKind::PermissionDenied.into());
        assert_eq!(error.kind(), ErrorKind::Refused);
        for word in [temp.path().to_str().unwrap(), "mode 0500", "uid", "gid"] {
            assert!(error.message().contains(word), "{error}");
        }
        // Root may write anywhere, so the whole path is shown only to other users.
        if !rustix::process::geteuid().is_root() {
            assert_eq!(DataDir::open(temp.path()).unwrap_err().kind(), ErrorKind::Refused);
        }
    }
}
