//! `Client` is a process that has no part in the cluster: it asks members, and stores nothing.

mod ask;
mod backup;
mod core;
mod guide;
mod introduction;
mod route;
mod tend;
mod walk;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::task::JoinSet;

pub(crate) use self::backup::Backup;
use self::core::Core;
pub(crate) use self::walk::Walk;
pub(crate) use self::watch::Follower;
use self::watch::Watched;
use crate::command::{CEILING_COMMAND_BYTES, CEILING_VALUE_BYTES, Command, Outcome};
use crate::config::CheckedClientConfig;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::options::{
    Consistency, Entry, KeyRange, LeaseId, LeaseInfo, MembershipChange, Page, ReadOptions,
    ScanOptions, Verification,
};
use crate::proposal::{self, SESSION_PATIENCE, end_session};
use crate::runtime::Runtime;
use crate::status::Status;
use crate::transport::{Answer, Query};

/// Threads of one client: it waits nearly all the time.
const WORKERS: usize = 1;
/// How long the members have to learn that the client leaves.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// A connected client. Dropping it closes it in the background.
pub(crate) struct Client {
    name: String,
    environment: Environment,
    request_timeout: Duration,
    consistency: Consistency,
    /// Empty once the client is closed.
    core: ArcSwapOption<Core>,
    tasks: Arc<Mutex<JoinSet<()>>>,
    last_status: Mutex<Status>,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Reaches one of the members, and follows who they are from then on.
    pub(crate) async fn connect(config: CheckedClientConfig) -> Result<Arc<Self>> {
        let runtime = Arc::new(Runtime::start(WORKERS)?);
        let (name, environment) = (config.name.clone(), config.environment.clone());
        let (request_timeout, consistency) = (config.request_timeout, config.consistency);
        let deadline = environment.clock.now() + request_timeout;
        let connecting = async move {
            let core = Arc::new(Core::start(config)?);
            core.find_member(deadline).await?;
            let mut tasks = JoinSet::new();
            tasks.spawn(Arc::clone(&core).tend());
            Ok((core, tasks))
        };
        let (core, tasks) = runtime.run(connecting).await?;
        Ok(Arc::new(Self {
            name,
            environment,
            request_timeout,
            consistency,
            core: ArcSwapOption::new(Some(core)),
            tasks: Arc::new(Mutex::new(tasks)),
            last_status: Mutex::default(),
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

    /// Returns the largest value, as a member has told it.
    pub(crate) fn max_value_bytes(&self) -> Result<usize> {
        let known = self.core()?.guide.known().max_value_bytes;
        Ok(limit(known, CEILING_VALUE_BYTES))
    }

    /// Returns the largest command, as a member has told it.
    pub(crate) fn max_command_bytes(&self) -> Result<usize> {
        let known = self.core()?.guide.known().max_command_bytes;
        Ok(limit(known, CEILING_COMMAND_BYTES))
    }

    pub(crate) fn status(&self) -> Status {
        match self.core.load_full() {
            Some(core) => core.status(),
            None => self.last_status.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Fails if the client is closed.
    pub(crate) fn check(&self) -> Result<()> {
        self.core().map(drop)
    }

    /// Has `command` applied exactly once. The command goes on if the caller goes away.
    pub(crate) async fn propose(&self, command: Command, deadline: Instant) -> Result<Outcome> {
        let core = self.core()?;
        let proposing = async move { proposal::propose(&*core, command, deadline).await };
        self.runtime.finish(proposing).await
    }

    /// Has the leader change the membership. The change goes on if the caller goes away.
    pub(crate) async fn change_members(
        &self,
        change: MembershipChange,
        deadline: Instant,
    ) -> Result<()> {
        let core = self.core()?;
        let changing = async move { proposal::change(&*core, change, deadline).await };
        self.runtime.finish(changing).await
    }

    /// Has all members sample their states, and compares them.
    pub(crate) async fn verify(&self, deadline: Instant) -> Result<Verification> {
        let core = self.core()?;
        self.runtime
            .run(async move { core.while_open(proposal::verify(&*core, deadline)).await })
            .await
    }

    /// Begins a backup of one moment of a member's.
    pub(crate) async fn backup(&self, read: ReadOptions, deadline: Instant) -> Result<Backup> {
        let (core, handle) = (self.core()?, self.runtime.handle()?.clone());
        let read = self.filled(read);
        let beginning =
            async move { core.while_open(Backup::begin(&core, handle, read, deadline)).await };
        self.runtime.run(beginning).await
    }

    /// Reads the entry of a key.
    pub(crate) async fn get(
        &self,
        key: &[u8],
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<Option<Entry>> {
        let query = Query::Get { key: Bytes::copy_from_slice(key), read: self.filled(read) };
        let answer = self.ask(query, deadline).await?;
        let Answer::Entry(entry) = answer else { return Err(misfit(&answer)) };
        Ok(entry)
    }

    /// Reads one page of a range.
    pub(crate) async fn page(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Page> {
        let options = options.read(self.filled(options.read));
        let answer = self.ask(Query::Page { range, options }, deadline).await?;
        let Answer::Page(page) = answer else { return Err(misfit(&answer)) };
        Ok(page)
    }

    /// Counts the keys of a range.
    pub(crate) async fn count(
        &self,
        range: KeyRange,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<u64> {
        let read = self.filled(read);
        let answer = self.ask(Query::Count { range, read }, deadline).await?;
        let Answer::Count(count) = answer else { return Err(misfit(&answer)) };
        Ok(count)
    }

    /// Begins to walk through a range.
    pub(crate) async fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Walk> {
        let (core, handle) = (self.core()?, self.runtime.handle()?.clone());
        let options = options.read(self.filled(options.read));
        self.runtime
            .run(async move {
                core.while_open(Walk::begin(&core, handle, range, options, deadline)).await
            })
            .await
    }

    /// Says what is known of a lease.
    pub(crate) async fn lease_info(
        &self,
        lease: LeaseId,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<LeaseInfo> {
        let read = self.filled(read);
        let answer = self.ask(Query::Lease { lease, read }, deadline).await?;
        let Answer::Lease(info) = answer else { return Err(misfit(&answer)) };
        Ok(info)
    }

    /// Waits until a lease holds a lock, and returns its fencing token.
    pub(crate) async fn await_lock(
        &self,
        name: Bytes,
        lease: LeaseId,
        revision: u64,
        deadline: Instant,
    ) -> Result<u64> {
        let core = self.core()?;
        let waiting = async move { core.await_lock(name, lease, revision, deadline).await };
        self.runtime.run(waiting).await
    }

    /// Follows the changes of a range; see [`Follower`].
    pub(crate) async fn follow(
        &self,
        range: KeyRange,
        from: Option<u64>,
        previous: bool,
        deadline: Instant,
    ) -> Result<Follower> {
        let (core, handle) = (self.core()?, self.runtime.handle()?.clone());
        let watched = Watched::new(range, from, previous);
        let following =
            async move { core.while_open(Follower::begin(&core, handle, watched, deadline)).await };
        self.runtime.run(following).await
    }

    /// Runs `work` on the thread of the client; it ends by itself, or with it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        // A client without threads is closed: nothing is left to be done by it.
        if let Ok(handle) = self.runtime.handle() {
            handle.spawn(work);
        }
    }

    /// Runs `work` on the thread of the client; a caller that goes away ends it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        self.check()?;
        self.runtime.run(work).await
    }

    /// Waits until a member is reached that knows a leader.
    pub(crate) async fn wait_ready(&self, deadline: Instant) -> Result<()> {
        let core = self.core()?;
        self.runtime.run(async move { core.wait_ready(deadline).await }).await
    }

    /// Ends the session and all connections. Calling it again does nothing.
    pub(crate) async fn close(&self) -> Result<()> {
        match self.closing() {
            Some(closing) => self.runtime.finish(closing).await,
            None => Ok(()),
        }
    }

    async fn ask(&self, query: Query, deadline: Instant) -> Result<Answer> {
        let core = self.core()?;
        self.runtime.run(async move { core.ask(query, deadline).await }).await
    }

    /// Fills in what the settings say where a read leaves it open.
    fn filled(&self, read: ReadOptions) -> ReadOptions {
        ReadOptions { consistency: read.consistency.or(Some(self.consistency)), ..read }
    }

    fn core(&self) -> Result<Arc<Core>> {
        self.core.load_full().ok_or_else(core::closed)
    }

    /// Takes the client out of service; returns what ends it, for the first who asks.
    fn closing(&self) -> Option<impl Future<Output = Result<()>> + Send + 'static> {
        let core = self.core.swap(None)?;
        *self.last_status.lock().unwrap_or_else(PoisonError::into_inner) = core.last_status();
        let tasks = Arc::clone(&self.tasks);
        Some(async move {
            end_session(&*core, core.now() + SESSION_PATIENCE).await;
            core.end();
            tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
            core.transport.close(core.now() + CLOSE_PATIENCE).await;
            Ok(())
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let (Some(closing), Ok(handle)) = (self.closing(), self.runtime.handle()) else { return };
        let runtime = Arc::clone(&self.runtime);
        handle.spawn(async move {
            // It cannot fail: nothing of it is on a disk.
            drop(closing.await);
            drop(runtime);
        });
    }
}

/// What is not known yet is checked by the leader.
fn limit(known: u32, ceiling: u32) -> usize {
    let limit = if known == 0 { ceiling } else { known };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// An answer to another question.
fn misfit(answer: &Answer) -> Error {
    Error::internal(format!("a member answered with {answer:?}"))
}
