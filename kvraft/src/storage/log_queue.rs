//! `LogQueue` is the one line in which every operation on the log waits for the writer.
//!
//! It is bounded by the bytes of what waits; who brings bytes waits for room. Operations without
//! bytes are bounded by their callers, each of which waits for one answer at a time.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openraft::storage::IOFlushed;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock;
use super::log_disk::Record;
use crate::error::{Error, Result};
use crate::raft::{Entry, LogId, TypeConfig};
use crate::record;

/// What may wait: some rounds of the writer, so that it never idles, and little to lose.
const QUEUE_BYTES: usize = 64 << 20;
/// What an operation costs beside its entries, so that their number is bounded too.
const OPERATION_BYTES: usize = 1 << 10;
/// A round of the writer carries about this much: larger ones delay those behind them.
const ROUND_BYTES: usize = 8 << 20;
const ROUND_ENTRIES: usize = 4096;
/// What nobody waits for is written with what comes behind it, for which it waits this long: a
/// note of what is committed must not cost every lone write another flush.
const COMPANY_PATIENCE: Duration = Duration::from_millis(100);

/// One operation on the log.
#[derive(Debug)]
pub(super) enum Operation {
    Append(Vec<Entry>),
    /// Drop the entries from this index on.
    Truncate {
        from: u64,
    },
    /// Drop the entries up to this one, over several rounds.
    Purge(LogId),
    Put(Record, Bytes),
    /// Nothing but a place in the line.
    Barrier,
}

impl Operation {
    fn bytes(&self) -> usize {
        match self {
            Self::Append(entries) => entries.iter().map(record::entry_len).sum(),
            Self::Truncate { .. } | Self::Purge(_) | Self::Put(..) | Self::Barrier => 0,
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Append(entries) => entries.len(),
            Self::Truncate { .. } | Self::Purge(_) | Self::Put(..) | Self::Barrier => 0,
        }
    }
}

/// Who learns that an operation is durable, or that it never will be.
pub(super) enum Ack {
    /// Nobody waits: it becomes durable with whatever comes behind it.
    Nobody,
    /// Raft goes on meanwhile, so this may wait for company.
    Raft(IOFlushed<TypeConfig>),
    /// Somebody stands still until this is answered.
    Caller(Box<dyn FnOnce(Result<()>) + Send>),
}

impl Ack {
    pub(super) const fn is_urgent(&self) -> bool {
        matches!(self, Self::Caller(_))
    }

    pub(super) const fn is_awaited(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    pub(super) fn answer(self, result: Result<()>) {
        match self {
            Self::Nobody => {}
            Self::Raft(flushed) => flushed.io_completed(result.map_err(std::io::Error::other)),
            Self::Caller(answer) => answer(result),
        }
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "Nobody",
            Self::Raft(_) => "Raft",
            Self::Caller(_) => "Caller",
        })
    }
}

/// An operation in the line.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) sequence: u64,
    pub(super) operation: Operation,
    pub(super) ack: Ack,
    /// Room that comes back when the operation is written.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// What the writer gets when it asks for work.
#[derive(Debug)]
pub(super) enum Taken {
    Work(Vec<Queued>),
    /// The wait is over and nothing came.
    Idle,
    /// Nothing is left and nothing will come.
    Closed,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Queued>,
    sequence: u64,
    closing: bool,
    /// Nobody waits for room on the disk any more.
    hurried: bool,
    failed: Option<Error>,
}

/// The line itself; shared by everybody who submits and the one writer.
#[derive(Debug)]
pub(super) struct LogQueue {
    line: Mutex<Line>,
    changed: Condvar,
    room: Arc<Semaphore>,
}

impl LogQueue {
    pub(super) fn new() -> Self {
        Self {
            line: Mutex::default(),
            changed: Condvar::new(),
            room: Arc::new(Semaphore::new(QUEUE_BYTES)),
        }
    }

    /// Waits until an operation of that size may enter. First come, first served.
    ///
    /// # Cancel safety
    /// A dropped wait takes no room.
    pub(super) async fn reserve(&self, entries: &[Entry]) -> Result<OwnedSemaphorePermit> {
        let bytes = entries.iter().map(record::entry_len).sum::<usize>() + OPERATION_BYTES;
        // One operation that is larger than the queue has the queue for itself.
        let bytes = u32::try_from(bytes.min(QUEUE_BYTES)).expect("64 MiB fit in a u32");
        match Arc::clone(&self.room).acquire_many_owned(bytes).await {
            Ok(room) => Ok(room),
            Err(_) => Err(lock(&self.line).refusal()),
        }
    }

    /// Puts an operation at the end of the line and returns its sequence number.
    ///
    /// If the line is closed, the ack hears it as well as the caller.
    pub(super) fn push(
        &self,
        operation: Operation,
        ack: Ack,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<u64> {
        let mut line = lock(&self.line);
        if line.closing || line.failed.is_some() {
            let refusal = line.refusal();
            drop(line);
            ack.answer(Err(refusal.clone()));
            return Err(refusal);
        }
        line.sequence += 1;
        let sequence = line.sequence;
        line.waiting.push_back(Queued { sequence, operation, ack, room });
        drop(line);
        self.changed.notify_all();
        Ok(sequence)
    }

    /// Waits for work, at most `patience`, and takes a round of it.
    pub(super) fn take(&self, patience: Duration) -> Taken {
        let line = lock(&self.line);
        let idle = |line: &mut Line| line.waiting.is_empty() && !line.closing;
        let line = self.wait_at_most(patience, line, idle);
        let alone = |line: &mut Line| !line.is_awaited() && !line.closing && !line.hurried;
        let mut line = self.wait_at_most(patience.min(COMPANY_PATIENCE), line, alone);
        if line.waiting.is_empty() {
            return if line.closing { Taken::Closed } else { Taken::Idle };
        }
        Taken::Work(line.round())
    }

    fn wait_at_most<'a>(
        &'a self,
        patience: Duration,
        line: MutexGuard<'a, Line>,
        condition: impl FnMut(&mut Line) -> bool,
    ) -> MutexGuard<'a, Line> {
        let waited = self.changed.wait_timeout_while(line, patience, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Returns whether somebody waits for something in the line, so that it is taken at once.
    pub(super) fn is_awaited(&self) -> bool {
        lock(&self.line).is_awaited()
    }

    /// Returns the newest purge that waits, for a writer that has no room to get to it.
    pub(super) fn waiting_purge(&self) -> Option<LogId> {
        let line = lock(&self.line);
        line.waiting.iter().rev().find_map(|queued| match queued.operation {
            Operation::Purge(upto) => Some(upto),
            Operation::Append(_)
            | Operation::Truncate { .. }
            | Operation::Put(..)
            | Operation::Barrier => None,
        })
    }

    /// Ends the wait for room on a full disk, now or later, as closing does; what has room is
    /// still taken.
    pub(super) fn hurry(&self) {
        lock(&self.line).hurried = true;
        self.changed.notify_all();
    }

    /// Waits `patience`, or less if there is no time for it; returns whether there is none.
    pub(super) fn pause(&self, patience: Duration) -> bool {
        let on = |line: &mut Line| !line.closing && !line.hurried;
        let line = self.wait_at_most(patience, lock(&self.line), on);
        line.closing || line.hurried
    }

    /// Lets nothing more in; what waits is still done.
    pub(super) fn close(&self) {
        lock(&self.line).closing = true;
        self.room.close();
        self.changed.notify_all();
    }

    /// Answers everything that waits, now or later, with `error`; the first error stays.
    pub(super) fn fail(&self, error: Error) {
        let mut line = lock(&self.line);
        let error = line.failed.get_or_insert(error).clone();
        let waiting = std::mem::take(&mut line.waiting);
        drop(line);
        self.room.close();
        self.changed.notify_all();
        for queued in waiting {
            queued.ack.answer(Err(error.clone()));
        }
    }
}

impl Line {
    fn refusal(&self) -> Error {
        self.failed.clone().unwrap_or_else(|| Error::closed("the log is closed"))
    }

    fn is_awaited(&self) -> bool {
        self.waiting.iter().any(|queued| queued.ack.is_awaited())
    }

    fn round(&mut self) -> Vec<Queued> {
        let (mut bytes, mut entries) = (0, 0);
        let mut round = Vec::new();
        while let Some(next) = self.waiting.front() {
            bytes += next.operation.bytes();
            entries += next.operation.entries();
            let fits = bytes <= ROUND_BYTES && entries <= ROUND_ENTRIES;
            if !fits && !round.is_empty() {
                break;
            }
            round.extend(self.waiting.pop_front());
        }
        round
    }
}
