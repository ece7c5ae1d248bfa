//! What this node reads for clients: processes without a disk, which ask by QUIC.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::backup::Backup;
use super::copy::Copying;
use super::core::Core;
use super::door::{MAX_FORWARD_WAIT, blocking};
use super::walk::{self, Walk};
use super::watch::Follower;
use crate::error::{Error, Result};
use crate::options::{
    Changes, Entry, KeyRange, LeaseId, LeaseInfo, Page, ReadOptions, ScanOptions, check_key,
};
use crate::storage::{View, ViewWriter};
use crate::transport::{Answer, Pace, Query};

/// Reads for clients that may be at the disk at a time; more wait their turn.
pub(super) const MAX_CLIENT_READS: usize = 64;
/// Counts for clients at a time.
pub(super) const MAX_CLIENT_COUNTS: usize = 4;
/// How long a client's read waits for its turn.
const TURN_PATIENCE: Duration = Duration::from_secs(5);
/// How long a watch without changes goes without a word: its client learns how far it has come,
/// and leaves a node that has lost its leader.
const QUIET: Duration = Duration::from_secs(2);

impl Core {
    pub(super) async fn answer_query(self: &Arc<Self>, query: Query) -> Result<Answer> {
        match query {
            Query::Get { key, read } => {
                check_key(&key)?;
                let view = self.view_for(read).await?;
                self.look(move || entry(&view, &key)).await.map(Answer::Entry)
            }
            Query::Page { range, options } => {
                let view = self.view_for(options.read).await?;
                self.look(move || walk::page(&view, range, options)).await.map(Answer::Page)
            }
            Query::Count { range, read } => {
                let view = self.view_for(read).await?;
                self.count_for_client(view, range).await.map(Answer::Count)
            }
            Query::Lease { lease, read } => {
                let view = self.view_for(read).await?;
                lease_info(&view, lease).map(Answer::Lease)
            }
            Query::AwaitLock { name, lease, revision, timeout } => {
                let deadline = self.now() + timeout.min(MAX_FORWARD_WAIT);
                self.await_lock(&name, lease, revision, deadline).await.map(Answer::Locked)
            }
            Query::StateHash { revision, timeout } => {
                let deadline = self.now() + timeout.min(MAX_FORWARD_WAIT);
                Ok(Answer::StateHash(Some(self.hash_at(revision, deadline).await?)))
            }
            Query::Scan { .. }
            | Query::Watch { .. }
            | Query::Backup { .. }
            | Query::Refill { .. } => {
                Err(Error::internal("an answer in parts was asked for at once"))
            }
        }
    }

    /// Answers in parts, of which one is made at a time.
    pub(super) fn answer_in_parts(
        self: Arc<Self>,
        query: Query,
    ) -> BoxStream<'static, Result<Answer>> {
        match query {
            Query::Scan { range, options } => stream::once(async move {
                let view = self.view_for(options.read).await?;
                let walk = Walk::new(&self, &Handle::current(), view, range, options);
                Ok(pages(&self, walk))
            })
            .boxed()
            .flat_map(flattened)
            .boxed(),
            Query::Watch { range, from, previous } => {
                match Follower::new(&self, &Handle::current(), range, from, previous) {
                    Ok(follower) => changes(follower),
                    Err(error) => stream::iter([Err(error)]).boxed(),
                }
            }
            Query::Backup { read } => stream::once(async move {
                let view = self.view_for(read).await?;
                let backup = Backup::new(&self, &Handle::current(), &view)?;
                let first = Answer::Backup(backup.info().clone());
                Ok(copied(first, backup.into_copying()))
            })
            .flat_map(flattened)
            .boxed(),
            Query::Refill { revision } => stream::once(async move {
                let pace = Arc::clone(&self.pace);
                let (first, copying) = self.begin_refill(revision).await?;
                // It is a snapshot, and shares the rate of all that leave this node.
                let paced = copied(first, copying).then(move |part| paced(Arc::clone(&pace), part));
                Ok(paced.boxed())
            })
            .flat_map(flattened)
            .boxed(),
            Query::Get { .. }
            | Query::Page { .. }
            | Query::Count { .. }
            | Query::Lease { .. }
            | Query::StateHash { .. }
            | Query::AwaitLock { .. } => {
                let error = Error::internal("one answer was asked for in parts");
                stream::iter([Err(error)]).boxed()
            }
        }
    }

    async fn view_for(self: &Arc<Self>, read: ReadOptions) -> Result<Arc<View>> {
        let consistency = read.consistency.unwrap_or(self.config.consistency);
        let timeout = read.timeout.unwrap_or(self.config.request_timeout).min(MAX_FORWARD_WAIT);
        self.read(consistency, read.min_revision, self.now() + timeout).await
    }

    /// Reads where a slow disk holds up nobody else, and not too much at a time.
    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let _turn = turn(&self.client_reads).await?;
        blocking(work).await
    }

    /// Counts, which may walk through everything, without taking the turns of short reads.
    async fn count_for_client(self: &Arc<Self>, view: Arc<View>, range: KeyRange) -> Result<u64> {
        let _turn = turn(&self.client_counts).await?;
        let (core, handle) = (Arc::clone(self), Handle::current());
        blocking(move || count(&core, &handle, view, range)).await
    }
}

async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>> {
    let turn = tokio::time::timeout(TURN_PATIENCE, turns.acquire()).await;
    turn.ok()
        .and_then(std::result::Result::ok)
        .ok_or_else(|| Error::overloaded("this node reads for many clients; retry, or ask another"))
}

/// Returns what is under a key.
pub(super) fn entry(view: &View, key: &Bytes) -> Result<Option<Entry>> {
    let record = view.get(key)?;
    Ok(record.map(|record| Entry::new(key.clone(), record.found())))
}

/// Returns what is known of a lease that lives.
pub(super) fn lease_info(view: &View, lease: LeaseId) -> Result<LeaseInfo> {
    let known = view.lease(lease.number()).filter(|known| !known.ended);
    let known = known.ok_or_else(|| lease.ended())?;
    Ok(LeaseInfo {
        id: lease,
        ttl: Duration::from_millis(known.ttl_ms),
        remaining: Duration::from_millis(known.expire_at.saturating_sub(view.cluster_ms())),
        keys: view.lease_keys(lease.number()),
    })
}

/// Counts the keys of a range; the whole map is counted already.
pub(super) fn count(
    core: &Arc<Core>,
    handle: &Handle,
    view: Arc<View>,
    range: KeyRange,
) -> Result<u64> {
    if range == KeyRange::all() {
        return Ok(view.len());
    }
    Walk::new(core, handle, view, range, ScanOptions::new().keys_only()).count()
}

fn flattened(
    pages: Result<BoxStream<'static, Result<Answer>>>,
) -> BoxStream<'static, Result<Answer>> {
    pages.unwrap_or_else(|error| stream::iter([Err(error)]).boxed())
}

/// The steps of a walk as pages; an empty one is the last.
fn pages(core: &Arc<Core>, walk: Walk) -> BoxStream<'static, Result<Answer>> {
    let core = Arc::downgrade(core);
    stream::unfold(Some(walk), move |walk| {
        let core = core.clone();
        async move {
            let mut walk = walk?;
            let Some(core) = core.upgrade() else {
                return Some((Err(Error::unavailable("the node closes")), None));
            };
            let stepped = core.look(move || walk.step().map(|entries| (entries, walk))).await;
            Some(match stepped {
                Ok((entries, walk)) => {
                    let more = !entries.is_empty();
                    let page = Page { entries, more, revision: walk.revision() };
                    (Ok(Answer::Page(page)), more.then_some(walk))
                }
                Err(error) => (Err(error), None),
            })
        }
    })
    .boxed()
}

/// What a copy begins with, its chunks, and an empty one at the end.
fn copied<W: ViewWriter>(first: Answer, copying: Copying<W>) -> BoxStream<'static, Result<Answer>> {
    let chunks = stream::unfold(Some(copying), |copying| async {
        let mut copying = copying?;
        Some(match copying.next().await {
            Ok(Some(chunk)) => (Ok(Answer::Chunk(chunk)), Some(copying)),
            Ok(None) => (Ok(Answer::Chunk(Bytes::new())), None),
            Err(error) => (Err(error), None),
        })
    });
    stream::iter([Ok(first)]).chain(chunks).boxed()
}

/// Returns the part when it may leave.
async fn paced(pace: Arc<Pace>, part: Result<Answer>) -> Result<Answer> {
    if let Ok(Answer::Chunk(chunk)) = &part {
        let turn = pace.take(chunk.len());
        tokio::time::sleep(turn.wait()).await;
        turn.has_come();
        pace.count_sent(chunk.len());
    }
    part
}

/// What a follower reads, and now and then only how far it has come.
fn changes(follower: Follower) -> BoxStream<'static, Result<Answer>> {
    stream::unfold((Some(follower), true), |(follower, first)| async move {
        let follower = follower?;
        // The first part only says where the watch begins: small, it is there at once, and a client
        // with a slow network is not taken for one whose member is silent.
        let read = if first { follower.start() } else { next(&follower).await };
        Some(match read {
            Ok(changes) => (Ok(Answer::Changes(changes)), (Some(follower), false)),
            Err(error) => (Err(error), (None, false)),
        })
    })
    .boxed()
}

async fn next(follower: &Follower) -> Result<Changes> {
    if let Ok(changes) = tokio::time::timeout(QUIET, follower.next()).await {
        return changes;
    }
    follower.check_fresh()?;
    follower.look().map(|(changes, _)| changes)
}
