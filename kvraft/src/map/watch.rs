//! Watches: what happens to the keys of a range, revision by revision.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt};

use super::ReplicatedMap;
use super::place::Follower;
use super::scan::Scan;
use crate::error::{ErrorKind, Result};
use crate::options::{Entry, KeyRange, WatchEvent, WatchOptions};

impl ReplicatedMap {
    /// Watches the keys in `range` on this node: every change that is applied here is told, in the
    /// order of revisions, none lost and none twice.
    ///
    /// # Errors
    /// `Compacted` if the revision to begin from is not held any more (the error carries the oldest
    /// that is), `Overloaded` if 65,536 watch on this node, `Closed`. The stream itself ends with
    /// `Compacted` when its consumer was too slow, or the node got a snapshot instead of the changes,
    /// unless it was asked to [`resync`](WatchOptions::resync); and with the error of a node that
    /// stops, as it does once its last handle is dropped.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use futures_util::TryStreamExt;
    /// use kvraft::{KeyRange, WatchEvent, WatchOptions};
    ///
    /// let mut watch = map.watch(KeyRange::prefix("config/"), WatchOptions::new()).await?;
    /// let revision = map.put("config/color", "blue").await?;
    /// let Some(WatchEvent::Changes { revision: told, changes }) = watch.try_next().await? else {
    ///     panic!("changes come first");
    /// };
    /// assert_eq!(told, revision);
    /// assert_eq!(changes[0].entry.as_ref().unwrap().value, "blue");
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn watch(&self, range: KeyRange, options: WatchOptions) -> Result<Watch> {
        let deadline = self.deadline(None);
        let follow = |from| self.place.follow(range.clone(), from, options.previous, deadline);
        let (follower, phase) = match follow(options.from).await {
            Ok(follower) if options.resync && options.from.is_none() => (follower, Phase::Begin),
            Ok(follower) => (follower, Phase::Follow),
            Err(error) if options.resync && error.kind() == ErrorKind::Compacted => {
                (follow(None).await?, Phase::Begin)
            }
            Err(error) => return Err(error),
        };
        let work = Work { follower, options, phase, ready: VecDeque::new() };
        let events = stream::unfold(Some(work), |work| async {
            let mut work = work?;
            match work.next().await {
                Ok(event) => Some((Ok(event), Some(work))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Watch { events: events.fuse().boxed() })
    }
}

/// A stream of [`WatchEvent`]s; see [`ReplicatedMap::watch`]. It holds one batch of changes in
/// memory, of about 1 MiB, and does not keep the map open.
pub struct Watch {
    events: BoxStream<'static, Result<WatchEvent>>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_next_unpin(context)
    }
}

/// What a watch does between two events.
struct Work {
    follower: Follower,
    options: WatchOptions,
    phase: Phase,
    ready: VecDeque<WatchEvent>,
}

enum Phase {
    /// A snapshot is due.
    Begin,
    /// A snapshot is under way.
    Snapshot(Box<Scan>),
    Follow,
}

/// Entries that one event of a snapshot tells at most, and their bytes, the last one excepted.
const ENTRIES_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 1 << 20;

impl Work {
    async fn next(&mut self) -> Result<WatchEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            match self.step().await {
                Ok(()) => {}
                // A consumer that was too slow begins again, if it said that it can.
                Err(error) if self.options.resync && self.begins_again(error.kind()) => {
                    self.phase = Phase::Begin;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns whether an error of this kind has lost no more than a new snapshot mends: changes
    /// that were missed, or the member that had the moment of the snapshot under way.
    const fn begins_again(&self, kind: ErrorKind) -> bool {
        matches!(
            (kind, &self.phase),
            (ErrorKind::Compacted, _) | (ErrorKind::Unavailable, Phase::Snapshot(_))
        )
    }

    async fn step(&mut self) -> Result<()> {
        match &mut self.phase {
            Phase::Begin => {
                let scan = Scan::new(self.follower.begin_again().await?);
                self.ready.push_back(WatchEvent::SnapshotBegin { revision: scan.revision() });
                self.phase = Phase::Snapshot(Box::new(scan));
            }
            Phase::Snapshot(scan) => {
                let entries = some(scan).await?;
                if entries.is_empty() {
                    self.ready.push_back(WatchEvent::SnapshotEnd { revision: scan.revision() });
                    self.phase = Phase::Follow;
                } else {
                    self.ready.push_back(WatchEvent::SnapshotEntries(entries));
                }
            }
            Phase::Follow => {
                let changes = self.follower.next().await?.revisions.into_iter();
                let told = |(revision, changes)| WatchEvent::Changes { revision, changes };
                self.ready.extend(changes.map(told));
            }
        }
        Ok(())
    }
}

/// Takes the next entries of a snapshot, few enough for one event; none at its end.
async fn some(scan: &mut Scan) -> Result<Vec<Entry>> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    while entries.len() < ENTRIES_AT_ONCE && bytes < BYTES_AT_ONCE {
        let Some(entry) = scan.next().await? else { break };
        bytes += entry.key.len() + entry.value.len();
        entries.push(entry);
    }
    Ok(entries)
}
