//! `Storage` is all of a node that lives on its disk.

mod apply;
mod aside;
mod backup;
mod backup_file;
mod backup_frame;
mod buffer;
mod change;
mod checkpoint;
mod claim;
mod damage;
mod dir;
mod env;
mod erased;
#[cfg(test)]
mod fuzz;
mod generation;
mod history;
mod inspect;
mod inspect_log;
mod inspect_state;
mod interest;
mod lease;
mod lock;
mod log;
mod log_disk;
mod log_lmdb;
mod log_meter;
mod log_queue;
mod log_tail;
mod log_writer;
#[cfg(test)]
mod model;
mod pressure;
mod recover;
mod registry;
mod request;
mod resend;
mod restore;
mod row;
mod sample;
mod session;
#[cfg(test)]
mod sim_disk;
mod snapshot;
mod snapshot_item;
mod snapshot_sink;
mod state;
mod state_disk;
mod state_env;
mod state_machine;
mod state_options;
mod state_record;
#[cfg(test)]
mod suite;
mod tables;
mod unfinished;
mod usage;
mod view;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use self::aside::{Aside, is_removed, mark_removed, set_aside};
pub(crate) use self::backup::BackupWriter;
pub(crate) use self::backup_file::check_backup;
pub(crate) use self::backup_frame::BackupHeader;
pub(crate) use self::change::Change;
pub(crate) use self::damage::Damage;
pub(crate) use self::dir::Gone;
use self::dir::{Ballast, DataDir};
use self::generation::Generations;
pub(crate) use self::history::{Batch, Watcher};
pub(crate) use self::inspect::inspect;
pub(crate) use self::lock::LockPlace;
pub(crate) use self::log::LogStore;
use self::log_lmdb::LmdbLog;
use self::pressure::DiskPressure;
pub(crate) use self::recover::{Recovery, recover};
pub(crate) use self::registry::Registry;
use self::registry::Remembered;
pub(crate) use self::restore::{RestorePlan, Restored, restore};
pub(crate) use self::snapshot::{ViewCursor, ViewWriter};
pub(crate) use self::snapshot_sink::SnapshotSink;
pub(crate) use self::state::State;
use self::state::{StateHooks, StateOptions};
pub(crate) use self::state_disk::Order;
pub(crate) use self::state_machine::StateMachine;
pub(crate) use self::state_record::Record;
pub(crate) use self::usage::disk_bytes;
pub(crate) use self::view::{PageLimits, PageRequest, View};
use crate::environment::Environment;
use crate::error::Result;

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
    /// A checkpoint is written at least this often if there is something to write.
    pub(crate) checkpoint_interval: Duration,
}

/// Address space for the log, which is also the most that it may take. It costs nothing, and a
/// full map stops all writes.
const LOG_MAP_BYTES: usize = 64 << 30;

/// How long a failed opening waits for its threads, so that whoever corrects a setting opens again at
/// once.
const FREE_PATIENCE: Duration = Duration::from_secs(2);

/// The open disk of a node.
pub(crate) struct Storage {
    pub(crate) log: LogStore,
    pub(crate) state: State,
    pub(crate) registry: Registry,
    /// Tells when nothing of the disk is open any more.
    pub(crate) gone: Gone,
}

impl Storage {
    /// Opens the data directory, or bears one, and starts its threads. Blocks.
    ///
    /// The log is read first and written last: only when the state has its copy of the identity the
    /// log gets its own, so that a directory whose birth was cut short is recognised and completed.
    ///
    /// # Errors
    /// `Refused` if the directory is in use, is another node's or of a newer format, `Corrupt` if
    /// its bytes cannot be trusted, `Storage` if the disk fails.
    pub(crate) fn open(options: &StorageOptions, environment: &Environment) -> Result<Self> {
        let dir = Arc::new(DataDir::open(&options.data_dir)?);
        let gone = dir.gone();
        let opened = Self::open_dir(&dir, options, environment);
        drop(dir);
        if opened.is_err() && !gone.wait(FREE_PATIENCE) {
            // Threads that were started already hold it; they end by themselves.
            tracing::info!("the data directory is free a moment after it failed to open");
        }
        opened
    }

    fn open_dir(
        dir: &Arc<DataDir>,
        options: &StorageOptions,
        environment: &Environment,
    ) -> Result<Self> {
        let pressure = DiskPressure::default();
        let mut disk = LmdbLog::open(Arc::clone(dir), LOG_MAP_BYTES)?;
        let remembered = Remembered::read(&disk)?;
        let mut identity = remembered.next_identity(&options.name, dir.path(), environment)?;
        let generations = Generations::open(
            &dir.state_path(),
            StateOptions::DEFAULT_MAP_BYTES,
            identity.node_id,
        )?
        .keeping(Arc::clone(dir));
        remembered.settle_owner(&mut identity, &generations.origin()?, dir.path())?;
        Remembered::write_identity(&mut disk, &identity, &**dir)?;
        let ballast: Arc<dyn Ballast> = Arc::<DataDir>::clone(dir);
        let log = LogStore::start(disk, pressure.clone(), Arc::clone(&ballast))?;
        let registry = Registry::new(remembered, identity, log.clone());
        let state_options = StateOptions {
            checkpoint_interval: options.checkpoint_interval,
            format_level: environment.versions.format_level,
            ..StateOptions::default()
        };
        let hooks = StateHooks {
            barrier: Arc::new(log.clone()),
            pressure,
            release_ballast: Arc::new(move || ballast.release()),
        };
        let state = State::open(generations, &state_options, hooks)?;
        Ok(Self { log, state, registry, gone: dir.gone() })
    }
}

/// Locks a mutex whose holders leave it consistent even if they panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
