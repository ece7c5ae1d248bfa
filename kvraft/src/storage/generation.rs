//! `Generations` are the directories of the state: `<n>` is complete, `<n>.new` is not yet.
//!
//! A directory becomes a state by one rename, after all in it was synced; so the highest complete
//! one is the state, and whatever else a crash left behind can go.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::command::LeaseNumber;
use crate::error::{Error, Result};
use crate::raft::StagedState;
use crate::storage::dir::DataDir;
use crate::storage::env::Durability;
use crate::storage::row::RowId;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded, Stage, StateDisk};
use crate::storage::state_env::StateEnv;
use crate::storage::state_record::Meta;

/// Where a state comes from, for whoever decides whether it belongs to the log beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateOrigin {
    /// The node that the state was born for.
    pub(crate) node_id: u64,
    /// The cluster whose entries were applied to it, once one is known.
    pub(crate) cluster_id: Option<u128>,
    /// Whether the state was born by this very open.
    pub(crate) fresh: bool,
    /// Whether anything was ever applied to it.
    pub(crate) applied: bool,
}

/// What a directory is called until it is complete.
const UNFINISHED: &str = "new";

/// The state environments of one node, of which one is current.
pub(crate) struct Generations {
    root: PathBuf,
    map_bytes: usize,
    /// Whose state this is, and whose every later generation will be.
    node_id: u64,
    fresh: bool,
    current: Mutex<Generation>,
    /// What every open environment of the state holds on to.
    dir: Option<Arc<DataDir>>,
    /// The highest number ever given to a directory: none is used twice by one process.
    highest: AtomicU64,
}

struct Generation {
    number: u64,
    env: StateEnv,
}

impl Generations {
    /// Opens the current generation in `root`, or bears the first one for `newborn`.
    ///
    /// A state that exists keeps its owner. `map_bytes` is address space, not disk.
    pub(crate) fn open(root: &Path, map_bytes: usize, newborn: u64) -> Result<Self> {
        let failed = |error| disk_error(root, error);
        fs::create_dir_all(root).map_err(failed)?;
        if let Some(parent) = root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent).map_err(failed)?;
        }
        let complete = complete_generations(root).map_err(failed)?;
        let number = match complete.last() {
            Some(number) => *number,
            None => {
                let unfinished = StagedDir::create(root, 1, None)?;
                StateEnv::open(&unfinished.path, map_bytes, Durability::OnSync)?
                    .complete(&Meta::default(), newborn)?;
                unfinished.promote(root, 1)?;
                1
            }
        };
        remove_all_but(root, number).map_err(failed)?;
        let path = root.join(number.to_string());
        let env = StateEnv::open(&path, map_bytes, Durability::EveryCommit)?;
        Ok(Self {
            root: root.to_owned(),
            map_bytes,
            node_id: env.owner()?,
            fresh: complete.is_empty(),
            current: Mutex::new(Generation { number, env }),
            dir: None,
            highest: AtomicU64::new(number),
        })
    }

    /// Begins the first generation in `root` with a state that comes from elsewhere.
    pub(super) fn stage_first(root: &Path, map_bytes: usize, owner: u64) -> Result<Box<dyn Stage>> {
        let dir = StagedDir::create(root, 1, None)?;
        let env = StateEnv::open(&dir.path, map_bytes, Durability::OnSync)?;
        Ok(Box::new(StagedEnv { env, dir, node_id: owner }))
    }

    /// Makes a finished stage the first generation in `root`, durably.
    pub(super) fn install_first(root: &Path, staged: StagedState) -> Result<()> {
        staged_dir(staged)?.promote(root, 1)
    }

    /// Holds the data directory for as long as any environment of the state is open.
    #[must_use]
    pub(crate) fn keeping(mut self, dir: Arc<DataDir>) -> Self {
        self.dir = Some(dir);
        let generation = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        generation.env = generation.env.clone().keeping(self.dir.clone());
        self
    }

    pub(crate) fn origin(&self) -> Result<StateOrigin> {
        let meta = self.current().env.meta()?;
        Ok(StateOrigin {
            node_id: self.node_id,
            cluster_id: meta.founding.map(|founding| founding.cluster_id),
            fresh: self.fresh,
            applied: meta.applied.is_some(),
        })
    }

    fn next_number(&self) -> u64 {
        self.highest.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn current(&self) -> MutexGuard<'_, Generation> {
        // A generation is replaced whole, so that a panic elsewhere cannot leave half of one.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateDisk for Generations {
    fn load(&self) -> Result<Loaded> {
        self.current().env.load()
    }

    fn commit(&self, checkpoint: &Checkpoint) -> Result<Arc<dyn DiskView>> {
        self.current().env.commit(checkpoint)
    }

    fn stage(&self) -> Result<Box<dyn Stage>> {
        let generation = self.next_number();
        let dir = StagedDir::create(&self.root, generation, self.dir.clone())?;
        let env = StateEnv::open(&dir.path, self.map_bytes, Durability::OnSync)?;
        Ok(Box::new(StagedEnv { env, dir, node_id: self.node_id }))
    }

    fn install(&self, staged: StagedState) -> Result<Loaded> {
        let installed = Arc::clone(&staged.installed);
        let dir = staged_dir(staged)?;
        let mut current = self.current();
        // Its own number may be lower than the current one, if another was installed meanwhile.
        let number = self.next_number();
        dir.promote(&self.root, number)?;
        let path = self.root.join(number.to_string());
        let env = StateEnv::open(&path, self.map_bytes, Durability::EveryCommit)?
            .keeping(self.dir.clone());
        let loaded = env.load()?;
        let old = std::mem::replace(&mut *current, Generation { number, env });
        drop(current);
        installed.store(true, Ordering::Release);
        // Views of the old state live on: the files of a removed directory stay until the last
        // one has closed them, and only then the disk gets its room back.
        let old_path = self.root.join(old.number.to_string());
        if let Err(error) = fs::remove_dir_all(&old_path) {
            let path = old_path.display();
            tracing::warn!(%path, %error, "a replaced state stays on the disk until the next start");
        }
        Ok(loaded)
    }

    fn used_bytes(&self) -> Result<u64> {
        self.current().env.used_bytes()
    }

    fn room(&self) -> Result<u64> {
        self.current().env.room()
    }
}

/// A state environment that is being filled.
struct StagedEnv {
    // Declared before the directory, so that it is closed before that is removed.
    env: StateEnv,
    dir: StagedDir,
    node_id: u64,
}

impl Stage for StagedEnv {
    fn put_entries(&mut self, entries: &[(Bytes, Bytes)]) -> Result<()> {
        self.env.append_entries(entries)
    }

    fn put_lease_keys(&mut self, keys: &[(LeaseNumber, Bytes)]) -> Result<()> {
        self.env.add_lease_keys(keys)
    }

    fn put_rows(&mut self, rows: &[(RowId, Bytes)]) -> Result<()> {
        self.env.append_rows(rows)
    }

    fn finish(self: Box<Self>, meta: &Meta) -> Result<StagedState> {
        let Self { env, dir, node_id } = *self;
        env.complete(meta, node_id)?;
        Ok(StagedState::new(dir))
    }
}

/// A directory that is removed when this is dropped, unless it was promoted.
#[derive(Debug)]
struct StagedDir {
    path: PathBuf,
    /// Nobody else may open the data directory, and give the same number, before it is removed.
    _dir: Option<Arc<DataDir>>,
}

impl StagedDir {
    fn create(root: &Path, generation: u64, dir: Option<Arc<DataDir>>) -> Result<Self> {
        let path = root.join(format!("{generation}.{UNFINISHED}"));
        remove_if_there(&path)
            .and_then(|()| fs::create_dir(&path))
            .map_err(|error| disk_error(&path, error))?;
        Ok(Self { path, _dir: dir })
    }

    /// Makes the directory a complete generation, durably.
    fn promote(&self, root: &Path, generation: u64) -> Result<()> {
        let promoted = sync_files(&self.path)
            .and_then(|()| fs::rename(&self.path, root.join(generation.to_string())))
            .and_then(|()| sync_dir(root));
        promoted.map_err(|error| disk_error(root, error))
    }
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        if let Err(error) = remove_if_there(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove an unused state");
        }
    }
}

fn staged_dir(staged: StagedState) -> Result<Box<StagedDir>> {
    let dir = staged.hold.downcast::<StagedDir>();
    dir.map_err(|_| Error::internal("a staged state of another storage"))
}

/// Returns the complete generations in ascending order.
pub(super) fn complete_generations(root: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for item in fs::read_dir(root)? {
        if let Some(number) = item?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes lower generations and unfinished ones: what a crash left behind.
fn remove_all_but(root: &Path, current: u64) -> io::Result<()> {
    for item in fs::read_dir(root)? {
        let name = item?.file_name();
        let Some(name) = name.to_str() else { continue };
        let lower = name.parse::<u64>().is_ok_and(|number| number < current);
        let unfinished = name
            .strip_suffix(UNFINISHED)
            .and_then(|name| name.strip_suffix('.'))
            .is_some_and(|number| number.parse::<u64>().is_ok());
        if lower || unfinished {
            fs::remove_dir_all(root.join(name))?;
        }
    }
    sync_dir(root)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn sync_files(dir: &Path) -> io::Result<()> {
    for item in fs::read_dir(dir)? {
        File::open(item?.path())?.sync_all()?;
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn disk_error(path: &Path, error: io::Error) -> Error {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let kind = if full { crate::ErrorKind::Full } else { crate::ErrorKind::Storage };
    Error::new(kind, format!("cannot use the state directory {}", path.display()))
        .with_source(error)
}
