//! `LogStore` is the log as raft sees it: readable at once, durable a moment later.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex, mpsc};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt, stream};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::oneshot;

use super::dir::Ballast;
use super::log_disk::{LogDisk, LogRead, Record, read_record};
use super::log_meter::LogMeter;
use super::log_queue::{Ack, Operation};
use super::log_tail::LogTail;
use super::log_writer::{LogStats, LogWriter, Workplace};
use super::pressure::DiskPressure;
use super::{LogBarrier, lock};
use crate::codec::Writer;
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId, TypeConfig, Vote};
use crate::record;

/// What stays in memory for replication: a follower that lags less never costs a read.
const TAIL_BYTES: usize = 64 << 20;
/// One read for a follower carries at most this, unless one entry is larger.
const READ_BYTES: usize = 1 << 20;

/// The log of a node. Cheap to clone; when the last clone is gone the writer ends by itself.
#[derive(Clone)]
pub(crate) struct LogStore(Arc<Shared>);

struct Shared {
    live: Arc<Mutex<Live>>,
    disk: Arc<dyn LogRead>,
    writer: LogWriter,
    pressure: DiskPressure,
}

/// The log as of the last submitted operation.
struct Live {
    tail: LogTail,
    meter: LogMeter,
    vote: Option<Vote>,
    committed: Option<LogId>,
}

impl Debug for LogStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStore").field("last", &self.last()).finish_non_exhaustive()
    }
}

impl LogStore {
    /// Starts the writer of an opened log.
    pub(crate) fn start<D: LogDisk + LogRead + Clone>(
        disk: D,
        pressure: DiskPressure,
        ballast: Arc<dyn Ballast>,
    ) -> Result<Self> {
        Self::start_with_tail(disk, pressure, ballast, TAIL_BYTES)
    }

    fn start_with_tail<D: LogDisk + LogRead + Clone>(
        disk: D,
        pressure: DiskPressure,
        ballast: Arc<dyn Ballast>,
        tail_bytes: usize,
    ) -> Result<Self> {
        let outline = disk.outline()?;
        let first = outline.first.zip(outline.last);
        let live = Arc::new(Mutex::new(Live {
            tail: LogTail::new(tail_bytes, outline.purged, outline.first, outline.last),
            meter: first.map_or_else(LogMeter::default, |(first, last)| {
                LogMeter::of_log(first, last.index(), outline.bytes)
            }),
            vote: read_record(&disk, Record::Vote, record::read_vote)?,
            committed: read_record(&disk, Record::Committed, |reader| {
                reader.option(record::read_log_id)
            })?
            .flatten(),
        }));
        let marked = Arc::clone(&live);
        let writer = LogWriter::start(Workplace {
            disk: disk.clone(),
            pressure: pressure.clone(),
            ballast,
            purge: outline.purged.filter(|_| outline.purge_left),
            durable: Box::new(move |sequence| lock(&marked).tail.mark_durable(sequence)),
        })?;
        Ok(Self(Arc::new(Shared { live, disk: Arc::new(disk), writer, pressure })))
    }

    /// Returns the last log id, purged or not; `None` if nothing was ever logged.
    pub(crate) fn last(&self) -> Option<LogId> {
        lock(&self.0.live).tail.last()
    }

    /// Returns for whom this node has voted last, if it ever has.
    pub(crate) fn voted_for(&self) -> Option<u64> {
        lock(&self.0.live).vote.as_ref().map(|vote| vote.leader_id.voted_for)
    }

    /// Returns about how many bytes the entries behind the purged ones take.
    pub(crate) fn log_bytes(&self) -> u64 {
        lock(&self.0.live).meter.bytes()
    }

    /// Returns the index up to which one may purge so that about `bytes` are kept, never less.
    pub(crate) fn index_keeping_bytes(&self, bytes: u64) -> Option<u64> {
        lock(&self.0.live).meter.index_keeping_bytes(bytes)
    }

    /// Returns whether the disk or its map is full, so that nothing that grows may be proposed.
    pub(crate) fn under_pressure(&self) -> bool {
        self.0.pressure.is_raised()
    }

    /// Returns whether a full disk has taken the ballast: every byte of the log counts then.
    pub(crate) fn is_short_of_room(&self) -> bool {
        self.0.pressure.is_bare()
    }

    pub(crate) fn stats(&self) -> LogStats {
        self.0.writer.stats()
    }

    /// Returns when every operation submitted before is durable.
    ///
    /// # Cancel safety
    /// The barrier stays in the line; only its answer is lost.
    pub(crate) async fn flushed(&self) -> Result<()> {
        self.submit(Operation::Barrier)?.await
    }

    /// Has a full disk fail what waits for room, instead of holding up a node that closes: whoever
    /// waits for the log waits in the same line.
    pub(crate) fn hurry(&self) {
        self.0.writer.queue().hurry();
    }

    /// Makes what waits durable and ends the writer. Blocks for as long as the disk takes; a full
    /// disk does not hold it up.
    pub(crate) fn close(&self) {
        self.0.writer.close();
    }

    /// Puts a record into the line; the returned future tells when it is durable.
    pub(super) fn put(
        &self,
        record: Record,
        body: Bytes,
    ) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
        self.submit(Operation::Put(record, body))
    }

    fn submit(
        &self,
        operation: Operation,
    ) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
        let (answer, answered) = oneshot::channel();
        let ack = Ack::Caller(Box::new(move |result| {
            // Nobody is there to be told any more: a cancelled call.
            drop(answer.send(result));
        }));
        self.0.writer.queue().push(operation, ack, None)?;
        Ok(async move { answered.await.unwrap_or_else(|_| Err(unanswered())) })
    }

    /// Reads a part of the log; without a limit all that it contains of `range`.
    fn read(&self, range: &Range<u64>, max_bytes: usize) -> Result<Vec<Entry>> {
        loop {
            let plan = lock(&self.0.live).tail.plan(range, max_bytes);
            if plan.disk.is_empty() {
                return Ok(plan.memory);
            }
            let mut entries = self.0.disk.entries(plan.disk.clone(), max_bytes)?;
            let (truncations, purged) = {
                let live = lock(&self.0.live);
                (live.tail.truncations(), live.tail.purged())
            };
            if truncations != plan.truncations {
                // The disk may have shown a part of another log; truncations are rare.
                continue;
            }
            let start = plan.disk.start.max(purged.map_or(0, |id| id.index() + 1));
            if start < plan.disk.end {
                check_whole(&entries, start..plan.disk.end, max_bytes)?;
            }
            entries.extend(plan.memory);
            return Ok(entries);
        }
    }
}

/// Fails if the disk holds less of `range` than the log has there.
fn check_whole(entries: &[Entry], range: Range<u64>, max_bytes: usize) -> Result<()> {
    let first = entries.first().map(|entry| entry.log_id().index());
    let next = entries.last().map_or(range.start, |entry| entry.log_id().index() + 1);
    let begins = first.is_some_and(|first| first <= range.start);
    if begins && (next == range.end || max_bytes != usize::MAX) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "log entries {range:?} are not all on the disk: this node may no longer serve. The other \
         members have the data: stop this node, move its data directory away, and let it join \
         again under a new node id"
    )))
}

fn unanswered() -> Error {
    Error::internal("the log dropped an operation without an answer")
}

fn into_io(error: Error) -> io::Error {
    io::Error::other(error)
}

impl LogBarrier for LogStore {
    fn flush(&self) -> Result<()> {
        let (answer, answered) = mpsc::sync_channel(1);
        let ack = Ack::Caller(Box::new(move |result| {
            // The receiver waits below and takes exactly one answer.
            drop(answer.send(result));
        }));
        self.0.writer.queue().push(Operation::Barrier, ack, None)?;
        answered.recv().unwrap_or_else(|_| Err(unanswered()))
    }
}

fn to_range(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end.max(start)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        self.read(&to_range(&range), usize::MAX).map_err(into_io)
    }

    /// Streams in pieces, so that replaying a long log at start does not hold it in memory.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let pieces =
            stream::try_unfold((self.clone(), to_range(&range)), |(log, range)| async move {
                let entries = log.read(&range, READ_BYTES).map_err(into_io)?;
                let Some(last) = entries.last() else { return Ok::<_, io::Error>(None) };
                let rest = last.log_id().index() + 1..range.end;
                Ok(Some((VecDeque::from(entries), (log, rest))))
            });
        pieces.map_ok(|piece| stream::iter(piece.into_iter().map(Ok))).try_flatten()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(lock(&self.0.live).vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(&(start..end), READ_BYTES).map_err(into_io)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let live = lock(&self.0.live);
        Ok(LogState { last_purged_log_id: live.tail.purged(), last_log_id: live.tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let mut body = BytesMut::new();
        record::put_vote(&mut body, vote);
        let durable = self.put(Record::Vote, body.freeze()).map_err(into_io)?;
        durable.await.map_err(into_io)?;
        lock(&self.0.live).vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let mut body = BytesMut::new();
        body.put_option(committed.as_ref(), record::put_log_id);
        let operation = Operation::Put(Record::Committed, body.freeze());
        self.0.writer.queue().push(operation, Ack::Nobody, None).map_err(into_io)?;
        lock(&self.0.live).committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(lock(&self.0.live).committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let queue = self.0.writer.queue();
        let room = queue.reserve(&entries).await.map_err(into_io)?;
        // The lock is held over the push: the writer must not mark entries that are not here yet.
        let mut live = lock(&self.0.live);
        live.tail.check_append(&entries).map_err(into_io)?;
        let sequence = queue
            .push(Operation::Append(entries.clone()), Ack::Raft(callback), Some(room))
            .map_err(into_io)?;
        for entry in &entries {
            live.meter.append(entry.log_id().index(), record::entry_len(entry));
        }
        live.tail.append(sequence, entries);
        drop(live);
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let mut live = lock(&self.0.live);
        live.tail.truncate(last);
        let last = live.tail.last().map(|last| last.index());
        live.meter.truncate(last);
        let from = last.map_or(0, |last| last + 1);
        let operation = Operation::Truncate { from };
        self.0.writer.queue().push(operation, Ack::Nobody, None).map_err(into_io)?;
        drop(live);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut live = lock(&self.0.live);
        if live.tail.purged().is_some_and(|purged| purged.index() >= upto.index()) {
            return Ok(());
        }
        live.tail.purge(upto);
        let empty = live.tail.last() == Some(upto);
        live.meter.purge(upto.index(), empty);
        self.0.writer.queue().push(Operation::Purge(upto), Ack::Nobody, None).map_err(into_io)?;
        drop(live);
        Ok(())
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
