//! `Arrival` is the snapshot on its way to this node: what came is kept when its way breaks off.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;

use super::core::Core;
use super::door::blocking;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::raft::{Snapshot, SnapshotData, SnapshotMeta, SnapshotResponse, StagedState};
use crate::storage::{SnapshotSink, State};
use crate::transport::Incoming;

/// How long a part is kept of which nothing more comes: longer than a sender keeps its side, and
/// than the silence after which a connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(90);

/// What has come of snapshots. There is one part at a time, the newest.
#[derive(Default)]
pub(super) struct Arrivals {
    current: Mutex<Option<Arc<Arrival>>>,
    received: AtomicU64,
}

/// Which stream of bytes a part is of: one start of a node sends the same state in the same bytes.
#[derive(PartialEq, Eq)]
struct Source {
    sender: Identity,
    meta: SnapshotMeta,
}

struct Arrival {
    source: Source,
    part: Mutex<Part>,
}

/// What is here of one snapshot.
struct Part {
    /// `None` once it is complete, has failed, or has made room for another.
    sink: Option<SnapshotSink>,
    bytes: u64,
    /// The number of the stream that goes on with it: chunks of an earlier one may still come.
    turn: u64,
    /// When something last came, as far as upkeep has seen.
    seen: Option<Instant>,
}

/// One stream's hold on an arrival.
#[derive(Clone)]
struct Turn {
    arrival: Arc<Arrival>,
    number: u64,
}

impl Arrivals {
    /// Returns the bytes that have come.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Goes on with the part that is here of that snapshot, if its sender asks for that, or begins
    /// anew. Returns how many bytes are here. Blocks.
    fn begin(&self, state: &State, source: Source, resumes: bool) -> Result<(Turn, u64)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arrival) = &*current {
            let mut part = arrival.part();
            if resumes && arrival.source == source && part.sink.is_some() {
                part.turn += 1;
                let turn = Turn { arrival: Arc::clone(arrival), number: part.turn };
                return Ok((turn, part.bytes));
            }
            // Gives its room on the disk back before another takes some.
            part.sink = None;
        }
        *current = None;
        let sink = Some(state.snapshot_sink(source.meta.clone())?);
        let part = Mutex::new(Part { sink, bytes: 0, turn: 0, seen: None });
        let arrival = current.insert(Arc::new(Arrival { source, part }));
        Ok((Turn { arrival: Arc::clone(arrival), number: 0 }, 0))
    }

    /// Throws a part away of which nothing has come for long. Called again and again.
    pub(super) fn tick(&self, now: Instant) {
        // Whoever holds the locks is busy with it.
        let Ok(mut current) = self.current.try_lock() else { return };
        let is_over = current.as_ref().is_some_and(|arrival| match arrival.part.try_lock() {
            Ok(mut part) => part.is_over(now),
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Poisoned(_)) => true,
        });
        if is_over {
            *current = None;
        }
    }
}

impl Arrival {
    fn part(&self) -> MutexGuard<'_, Part> {
        // A sink that panicked has failed: its bytes are checked to the last before they count.
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn is_over(&mut self, now: Instant) -> bool {
        let seen = *self.seen.get_or_insert(now);
        self.sink.is_none() || now.saturating_duration_since(seen) >= PATIENCE
    }
}

impl Turn {
    /// Takes the next chunk. Blocks.
    fn write(&self, chunk: &Bytes) -> Result<()> {
        let mut part = self.part()?;
        let written =
            part.sink.as_mut().map_or_else(|| Err(superseded()), |sink| sink.write(chunk));
        match &written {
            Ok(()) => {
                part.bytes += chunk.len() as u64;
                part.seen = None;
            }
            Err(_) => part.sink = None,
        }
        written
    }

    /// Completes the state. Blocks.
    fn finish(&self) -> Result<StagedState> {
        let sink = self.part()?.sink.take();
        sink.ok_or_else(superseded)?.finish()
    }

    fn part(&self) -> Result<MutexGuard<'_, Part>> {
        let part = self.arrival.part();
        if part.turn == self.number { Ok(part) } else { Err(superseded()) }
    }
}

fn superseded() -> Error {
    Error::unavailable("the snapshot is being received on another way, or a newer one is")
}

impl Core {
    /// Receives a snapshot and has it installed. What came stays here if this is given up.
    pub(super) async fn install_snapshot(
        self: &Arc<Self>,
        sender: Identity,
        incoming: Incoming,
    ) -> Result<SnapshotResponse> {
        // Two states on their way would throw each other away: that of a refill goes before.
        let _entered = self.intake.enter()?;
        let Incoming { vote, meta, held, mut chunks } = incoming;
        let (core, source) = (Arc::clone(self), Source { sender, meta: meta.clone() });
        let resumes = held.is_some();
        let begun = move || core.arrivals.begin(&core.state, source, resumes);
        let (turn, bytes) = blocking(begun).await?;
        if let Some(held) = held {
            tracing::info!(meta = %meta, bytes, "goes on to receive a snapshot");
            held.send(bytes).map_err(|_| Error::unavailable("nobody waits for the snapshot"))?;
        }
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            self.arrivals.received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            let turn = turn.clone();
            blocking(move || turn.write(&chunk)).await?;
        }
        let staged = blocking(move || turn.finish()).await?;
        tracing::info!(meta = %meta, "received a snapshot");
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Incoming(staged) };
        let installed = self.raft.install_full_snapshot(vote, snapshot).await;
        installed.map_err(|fatal| Error::unavailable("this node has stopped").with_source(fatal))
    }
}
