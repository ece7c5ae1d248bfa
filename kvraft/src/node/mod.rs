//! `Node` is one member at work: it wires raft, storage and transport, and carries calls to them.

mod admit;
mod answer;
mod arrival;
mod backup;
mod bootstrap;
mod candidacy;
mod contact;
mod copy;
mod core;
mod counts;
mod discover;
mod door;
mod expire;
mod former;
mod greet;
mod handover;
mod intake;
mod integrity;
mod join;
mod lead;
mod lent;
mod life;
mod lock;
mod membership;
mod office;
mod open;
mod operate;
mod read;
mod refill;
mod roll;
mod rounds;
mod route;
mod status;
mod steward;
mod upkeep;
mod verify;
mod walk;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::task::JoinSet;

pub(crate) use self::backup::Backup;
use self::core::Core;
use self::life::{Life, Stage};
pub(crate) use self::walk::Walk;
pub(crate) use self::watch::Follower;
use crate::command::{Command, Outcome};
use crate::config::CheckedConfig;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::options::{
    Consistency, Entry, KeyRange, LeaseId, LeaseInfo, Page, ReadOptions, ScanOptions,
};
use crate::runtime::Runtime;
use crate::status::Status;
use crate::storage::{Gone, View};

/// How long a clean end may take: a handover, the last commands, the last checkpoint.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
/// Threads of one node: consensus is one task after another, transport and reads fill the second.
const WORKERS: usize = 2;
/// How often a node that is not ready looks again: a leader may come back without a change.
const READY_INTERVAL: Duration = Duration::from_millis(10);
/// How long a node that ends waits for threads or scans that still hold its files.
const GONE_PATIENCE: Duration = Duration::from_secs(2);

/// A running member. Dropping it stops it in the background.
pub(crate) struct Node {
    name: String,
    environment: Environment,
    request_timeout: Duration,
    consistency: Consistency,
    life: Arc<Life>,
    /// Empty once the node is closed, so that its files are free.
    core: ArcSwapOption<Core>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    gone: Gone,
    last_status: Arc<Mutex<Option<Status>>>,
    runtime: Arc<Runtime>,
}

/// What opening gives: the parts that run, and what tells that they have gone.
struct Opened {
    core: Arc<Core>,
    tasks: JoinSet<()>,
    gone: Gone,
}

impl Node {
    /// Starts the node on threads of its own.
    pub(crate) async fn open(config: CheckedConfig) -> Result<Arc<Self>> {
        let runtime = Arc::new(Runtime::start(WORKERS)?);
        let (name, environment) = (config.name.clone(), config.environment.clone());
        let (request_timeout, consistency) = (config.request_timeout, config.consistency);
        let Opened { core, tasks, gone } = runtime.run(open::open(config)).await?;
        Ok(Arc::new(Self {
            name,
            environment,
            request_timeout,
            consistency,
            life: Arc::clone(&core.life),
            core: ArcSwapOption::new(Some(core)),
            tasks: Arc::new(Mutex::new(tasks)),
            gone,
            last_status: Arc::default(),
            runtime,
        }))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn now(&self) -> Instant {
        self.environment.clock.now()
    }

    pub(crate) const fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    pub(crate) fn max_value_bytes(&self) -> Result<usize> {
        let limit = self.core()?.settings().max_value_bytes;
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    pub(crate) fn max_command_bytes(&self) -> Result<usize> {
        let limit = self.core()?.settings().max_command_bytes;
        Ok(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    pub(crate) fn status(&self) -> Status {
        match self.core.load_full() {
            Some(core) => core.status(),
            None => lock(&self.last_status).clone().unwrap_or_default(),
        }
    }

    pub(crate) fn metrics(&self) -> Result<Metrics> {
        self.core()?.metrics()
    }

    /// Has `command` applied exactly once. The command goes on if the caller goes away.
    pub(crate) async fn propose(&self, command: Command, deadline: Instant) -> Result<Outcome> {
        let core = self.core()?;
        self.runtime.finish(async move { core.propose(command, deadline).await }).await
    }

    /// Reads the entry of a key.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<Option<Entry>> {
        let view = self.view(read, deadline).await?;
        let record = view.get(key)?;
        Ok(record.map(|record| Entry::new(Bytes::copy_from_slice(key), record.found())))
    }

    /// Reads one page of a range.
    pub(crate) async fn page(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Page> {
        let view = self.view(options.read, deadline).await?;
        walk::page(&view, range, options)
    }

    /// Counts the keys of a range.
    pub(crate) async fn count(
        &self,
        range: KeyRange,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<u64> {
        let (core, view) = (self.core()?, self.view(read, deadline).await?);
        let handle = self.runtime.handle()?.clone();
        let counting = move || answer::count(&core, &handle, view, range);
        self.runtime.run(door::blocking(counting)).await
    }

    /// Begins to walk through a range.
    pub(crate) async fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Walk> {
        let view = self.view(options.read, deadline).await?;
        Ok(Walk::new(&self.core()?, self.runtime.handle()?, view, range, options))
    }

    /// Says what is known of a lease.
    pub(crate) async fn lease_info(
        &self,
        lease: LeaseId,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<LeaseInfo> {
        answer::lease_info(&*self.view(read, deadline).await?, lease)
    }

    /// Returns a view that is as fresh as the read asks for.
    async fn view(&self, read: ReadOptions, deadline: Instant) -> Result<Arc<View>> {
        let core = self.core()?;
        let consistency = read.consistency.unwrap_or(self.consistency);
        if consistency == Consistency::Local {
            core.integrity.check()?;
            let view = core.view();
            // The common case needs no other thread.
            if view.revision() >= read.min_revision {
                return Ok(view);
            }
        }
        let min_revision = read.min_revision;
        self.runtime.run(async move { core.read(consistency, min_revision, deadline).await }).await
    }

    /// Runs `work` on the threads of the node; it ends by itself, or with them.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // A node without threads is closed: nothing is left to be done on it.
        if let Ok(handle) = self.runtime.handle() {
            handle.spawn(work);
        }
    }

    /// Runs `work` on the threads of the node; a caller that goes away ends it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.core()?;
        self.runtime.run(work).await
    }

    /// Follows the changes of a range; see [`Follower`].
    pub(crate) fn follow(
        &self,
        range: KeyRange,
        from: Option<u64>,
        previous: bool,
    ) -> Result<Follower> {
        Follower::new(&self.core()?, self.runtime.handle()?, range, from, previous)
    }

    /// Waits until a lease holds a lock, and returns its fencing token; see `await_lock` below.
    pub(crate) async fn await_lock(
        &self,
        name: Bytes,
        lease: LeaseId,
        revision: u64,
        deadline: Instant,
    ) -> Result<u64> {
        let core = self.core()?;
        let waiting = async move { core.await_lock(&name, lease, revision, deadline).await };
        self.runtime.run(waiting).await
    }

    /// Waits until this node is ready, or will never be.
    pub(crate) async fn wait_ready(&self, deadline: Instant) -> Result<()> {
        let core = self.core()?;
        self.runtime.run(async move { core.wait_ready(deadline).await }).await
    }

    /// Stops the node in good order.
    pub(crate) async fn close(&self) -> Result<()> {
        match self.closing() {
            Some(closing) => self.runtime.finish(closing).await,
            None => {
                let life = Arc::clone(&self.life);
                let closed = async move {
                    let patience = CLOSE_PATIENCE * 2 + GONE_PATIENCE;
                    tokio::time::timeout(patience, life.reached(Stage::Closed)).await.map_err(
                        |_| Error::storage("the node does not close: its disk does not answer"),
                    )
                };
                self.runtime.finish(closed).await
            }
        }
    }

    fn core(&self) -> Result<Arc<Core>> {
        self.life.check()?;
        self.core.load_full().ok_or_else(|| Error::closed("the map is closed; open it again"))
    }

    /// Takes the node out of service; returns what ends it, for the first who asks.
    fn closing(&self) -> Option<impl Future<Output = Result<()>> + Send + 'static> {
        let core = self.core.load_full()?;
        if !core.life.begin_leaving() {
            return None;
        }
        self.core.store(None);
        let (tasks, gone) = (Arc::clone(&self.tasks), self.gone.clone());
        let last_status = Arc::clone(&self.last_status);
        let life = Arc::clone(&self.life);
        *lock(&last_status) = Some(core.status());
        Some(async move {
            let closed = core.close(core.now() + CLOSE_PATIENCE).await;
            *lock(&last_status) = Some(core.status());
            lock(&tasks).abort_all();
            drop(core);
            // A step of a scan or of a snapshot may still hold the files for a moment.
            let free = door::blocking(move || Ok(gone.wait(GONE_PATIENCE))).await;
            if !free.unwrap_or(false) {
                tracing::info!("the data directory is free once the last scan of it is dropped");
            }
            life.advance(Stage::Closed);
            closed
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let (Some(closing), Ok(handle)) = (self.closing(), self.runtime.handle()) else { return };
        let runtime = Arc::clone(&self.runtime);
        handle.spawn(async move {
            if let Err(error) = closing.await {
                tracing::warn!(%error, "the node did not stop in good order");
            }
            drop(runtime);
        });
    }
}

impl Core {
    async fn wait_ready(&self, deadline: Instant) -> Result<()> {
        let ready = async {
            self.life.reached(Stage::Serving).await;
            while !self.is_ready() {
                self.life.check()?;
                tokio::time::sleep(READY_INTERVAL).await;
            }
            Ok(())
        };
        tokio::select! {
            waited = tokio::time::timeout_at(deadline.into(), ready) => {
                waited.unwrap_or_else(|_| Err(self.no_leader()))
            }
            why = self.life.ended() => Err(why),
        }
    }

    /// Stops everything, in the order that loses nothing: office, calls, raft, socket, files.
    async fn close(&self, deadline: Instant) -> Result<()> {
        if self.life.check().is_ok() {
            self.leave(deadline).await;
        }
        self.life.advance(Stage::Closing);
        // Raft and the last checkpoint wait for the log, which on a full disk waits for room.
        self.log.hurry();
        let stopped = tokio::time::timeout_at(deadline.into(), self.raft.shutdown()).await;
        if let Some(transport) = &self.transport {
            transport.close(deadline).await;
        }
        let (log, state) = (self.log.clone(), self.state.clone());
        let files = door::blocking(move || {
            let checkpointed = state.close();
            log.close();
            checkpointed
        });
        // A disk that hangs must not hang the host; what was acknowledged is on it already.
        let closed = tokio::time::timeout(CLOSE_PATIENCE, files).await.unwrap_or_else(|_| {
            Err(Error::storage(
                "the last checkpoint was not written in time: the disk does not answer",
            ))
        });
        stopped
            .map_err(|_| Error::storage("raft did not stop in time: the disk does not answer"))?
            .map_err(|error| Error::internal("raft did not stop").with_source(error))?;
        // A node that failed before has nothing more to lose, and has said so.
        if self.life.failure().is_some() { Ok(()) } else { closed }
    }
}

/// Locks a mutex whose holders leave it consistent even if they panic.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
