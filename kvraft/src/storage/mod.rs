//! `Storage` is all of a node that lives on its disk.

mod dir;
mod env;
mod log;
mod log_disk;
mod log_lmdb;
mod log_meter;
mod log_queue;
#[cfg(test)]
mod log_suite;
mod log_tail;
mod log_writer;
mod pressure;
mod registry;
#[cfg(test)]
mod sim_disk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::dir::{Ballast, DataDir};
use self::log::LogStore;
use self::log_lmdb::LmdbLog;
use self::pressure::DiskPressure;
use self::registry::{Registry, Remembered, StateOwner};
use crate::environment::Environment;
use crate::error::Result;
use crate::identity::Identity;

/// Waits for the log: a checkpoint must never be ahead of what recovery can read.
pub(crate) trait LogBarrier: Send + Sync + 'static {
    /// Returns when every log operation submitted before this call is durable. Blocks.
    fn flush(&self) -> Result<()>;
}

/// How to open the disk of a node.
#[derive(Debug, Clone)]
pub(crate) struct StorageOptions {
    pub(crate) data_dir: PathBuf,
    /// The user's name of the node; it must be the stored one if there is one.
    pub(crate) name: String,
    /// Address space for the log environment, which is also the most that the log may take.
    pub(crate) log_map_bytes: usize,
}

impl StorageOptions {
    /// Address space costs nothing, a full map stops all writes: so the default is large.
    pub(crate) const DEFAULT_LOG_MAP_BYTES: usize = 64 << 30;
}

/// The log half of an open storage.
#[derive(Debug)]
pub(crate) struct LogSide {
    pub(crate) dir: Arc<DataDir>,
    pub(crate) log: LogStore,
    pub(crate) registry: Registry,
    pub(crate) pressure: DiskPressure,
}

/// What the state side is opened with, before this node's identity is final.
pub(crate) struct StateSeat<'a> {
    /// Where the generations of the state live.
    pub(crate) path: &'a Path,
    /// A state that is born now belongs to this node; one that exists keeps its owner.
    pub(crate) identity: &'a Identity,
    pub(crate) pressure: &'a DiskPressure,
    pub(crate) ballast: Arc<dyn Ballast>,
}

/// Opens the log half of a data directory around the state half.
///
/// `open_state` writes the state's copy of the identity; the log's copy is written after it, so
/// that a directory whose birth was cut short is recognised and completed. No barrier may be
/// needed before this returns: the log has no writer yet.
pub(crate) fn open_log_side<S>(
    options: &StorageOptions,
    environment: &Environment,
    open_state: impl FnOnce(StateSeat<'_>) -> Result<(S, StateOwner)>,
) -> Result<(LogSide, S)> {
    let dir = Arc::new(DataDir::open(&options.data_dir)?);
    let pressure = DiskPressure::default();
    let mut disk = LmdbLog::open(Arc::clone(&dir), options.log_map_bytes)?;
    let remembered = Remembered::read(&disk)?;
    let mut identity = remembered.next_identity(&options.name, dir.path(), environment)?;
    let (state, owner) = open_state(StateSeat {
        path: &dir.state_path(),
        identity: &identity,
        pressure: &pressure,
        ballast: Arc::<DataDir>::clone(&dir),
    })?;
    remembered.settle_owner(&mut identity, &owner, dir.path())?;
    Remembered::write_identity(&mut disk, &identity, &*dir)?;
    let ballast = Arc::<DataDir>::clone(&dir);
    let log = LogStore::start(disk, pressure.clone(), ballast)?;
    let registry = Registry::new(remembered, identity, log.clone());
    Ok((LogSide { dir, log, registry, pressure }, state))
}

/// Locks a mutex whose holders leave it consistent even if they panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
