//! `LogWriter` is the one thread that writes the log.
//!
//! Each round drains the queue into one transaction, which is one flush whatever the number of
//! operations (group commit). A batch is durable once the next one is committed, or after a sync
//! when the queue has run dry or somebody stands still for an answer.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::dir::{Ballast, is_full};
use super::lock;
use super::log_disk::{Batch, LogDisk, LogStep, Record};
use super::log_queue::{Ack, LogQueue, Operation, Queued, Taken};
use super::pressure::{DiskPressure, PressureSide};
use crate::durations::{DurationMetrics, Durations};
use crate::error::{Error, Result};
use crate::raft::LogId;
use crate::record;

/// A full disk is tried again after this, then after twice as long, up to [`MAX_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(20);
const MAX_RETRY: Duration = Duration::from_secs(1);
/// Where others took the ballast's room, or our own files did, which never shrink: freed bytes that
/// the log and the state must both have for writes to be let in again, and until they are not any
/// more. Deletes and the purge work with what is left.
const ROOM_BYTES: u64 = 12 << 20;
const LEAST_ROOM_BYTES: u64 = 6 << 20;

/// What the writer works with.
pub(super) struct Workplace<D> {
    pub(super) disk: D,
    pub(super) pressure: DiskPressure,
    pub(super) ballast: Arc<dyn Ballast>,
    /// Entries up to this one are purged and may still be on the disk.
    pub(super) purge: Option<LogId>,
    /// Hears up to which operation all are durable.
    pub(super) durable: Box<dyn FnMut(u64) + Send>,
}

/// How much the log has written since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct LogStats {
    pub(crate) entries: u64,
    pub(crate) batches: u64,
    /// How long the disk took each time that it was asked to flush.
    pub(crate) flush_time: DurationMetrics,
}

#[derive(Debug, Default)]
struct Counters {
    entries: AtomicU64,
    batches: AtomicU64,
    flush_time: Durations,
}

/// The handle of the thread. When it is dropped the thread finishes what waits, then ends alone.
#[derive(Debug)]
pub(super) struct LogWriter {
    queue: Arc<LogQueue>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogWriter {
    pub(super) fn start<D: LogDisk>(workplace: Workplace<D>) -> Result<Self> {
        let queue = Arc::new(LogQueue::new());
        let counters = Arc::new(Counters::default());
        let mut work = Work {
            place: workplace,
            queue: Arc::clone(&queue),
            counters: Arc::clone(&counters),
            unsynced: Pending::default(),
            looked: None,
            ahead: None,
        };
        let thread = std::thread::Builder::new()
            .name("kvraft-log".to_owned())
            .spawn(move || work.run())
            .map_err(|error| {
                Error::storage("cannot start the thread of the log").with_source(error)
            })?;
        Ok(Self { queue, counters, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn queue(&self) -> &LogQueue {
        &self.queue
    }

    pub(super) fn stats(&self) -> LogStats {
        LogStats {
            entries: self.counters.entries.load(Ordering::Relaxed),
            batches: self.counters.batches.load(Ordering::Relaxed),
            flush_time: self.counters.flush_time.read(),
        }
    }

    /// Finishes what waits and ends the thread. Blocks for as long as the disk takes.
    pub(super) fn close(&self) {
        self.queue.close();
        let Some(thread) = lock(&self.thread).take() else { return };
        if thread.join().is_err() {
            tracing::error!("the thread of the log panicked");
        }
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// What is written and waits for its flush, or waits to be written.
#[derive(Debug, Default)]
struct Pending {
    acks: Vec<Ack>,
    /// The last operation of these.
    sequence: u64,
}

impl Pending {
    fn answer(self, result: &Result<()>) {
        for ack in self.acks {
            ack.answer(result.clone());
        }
    }
}

struct Work<D> {
    place: Workplace<D>,
    queue: Arc<LogQueue>,
    counters: Arc<Counters>,
    /// The batch that the next commit or sync makes durable.
    unsynced: Pending,
    /// When the ballast was looked at last: a full disk is not asked for 16 MiB at every batch.
    looked: Option<Instant>,
    /// The purge that was done before its turn.
    ahead: Option<LogId>,
}

impl<D: LogDisk> Work<D> {
    fn run(&mut self) {
        loop {
            let result = match self.queue.take(self.patience()) {
                Taken::Work(round) => self.round(round),
                Taken::Idle => {
                    self.leave_pressure();
                    self.round(Vec::new())
                }
                Taken::Closed => break,
            };
            if let Err(error) = result {
                tracing::error!(%error, "the log stops");
                self.queue.fail(error);
                return;
            }
        }
        if let Err(error) = self.sync() {
            tracing::error!(%error, "the log could not be flushed at its end");
        }
    }

    /// How long to wait for work before looking after what is left to do, and after the room on the
    /// disk: the state may have taken the ballast, and nothing wakes this thread when others make
    /// room.
    fn patience(&self) -> Duration {
        if self.place.purge.is_some() { Duration::ZERO } else { MAX_RETRY }
    }

    fn round(&mut self, round: Vec<Queued>) -> Result<()> {
        let Round { batch, pending, purge, room } = Round::of(round, self.place.purge);
        self.place.purge = purge;
        let urgent = pending.acks.iter().any(Ack::is_urgent);
        if batch.is_empty() {
            self.unsynced.acks.extend(pending.acks);
            self.unsynced.sequence = self.unsynced.sequence.max(pending.sequence);
        } else {
            match self.write(&batch) {
                Ok(left) => {
                    self.counters.count(&batch);
                    self.settle(&Ok(()));
                    self.unsynced = pending;
                    if !left {
                        self.place.purge = None;
                    }
                }
                Err(error) => {
                    // After a failed flush the kernel may have dropped what it could not write,
                    // and the next flush would not tell: the batch before fails too.
                    self.settle(&Err(error.clone()));
                    pending.answer(&Err(error.clone()));
                    return Err(error);
                }
            }
        }
        drop(room);
        let awaited = self.unsynced.acks.iter().any(Ack::is_awaited);
        if urgent || (awaited && !self.queue.is_awaited()) { self.sync() } else { Ok(()) }
    }

    /// Writes a batch, however long the disk is full; returns whether purged entries are left.
    fn write(&mut self, batch: &Batch) -> Result<bool> {
        let mut patience = FIRST_RETRY;
        loop {
            let begun = Instant::now();
            let error = match self.place.disk.write(batch) {
                Ok(left) => {
                    self.counters.flush_time.note(begun.elapsed());
                    self.place.pressure.spend_state_room(batch.bytes());
                    self.leave_pressure();
                    return Ok(left);
                }
                Err(error) if is_full(&error) => error,
                Err(error) => return Err(failed("write to", error)),
            };
            if self.enter_pressure(&error)? || self.purge_ahead()? {
                continue;
            }
            if self.queue.pause(patience) {
                return Err(Error::closed(
                    "the disk of the log is full and the log was closed before there was room",
                )
                .with_source(error));
            }
            patience = (patience * 2).min(MAX_RETRY);
        }
    }

    /// Returns whether room was just made, so that the next try is worth it at once.
    fn enter_pressure(&mut self, error: &io::Error) -> Result<bool> {
        if self.place.pressure.is_raised_by(PressureSide::Log) {
            return Ok(false);
        }
        self.place.pressure.raise(PressureSide::Log);
        tracing::warn!(%error, "the disk of the log is full: only deletes are taken from now on");
        // Those before this batch need not wait for room: they have theirs.
        self.sync()?;
        self.place.ballast.release();
        self.place.pressure.set_bare(true);
        Ok(true)
    }

    /// Does a purge that waits behind the batch that finds no room; returns whether it made some.
    ///
    /// A purge names only what a durable checkpoint or snapshot holds already, so it may overtake:
    /// entries that are appended below it later count as purged like those it leaves over.
    fn purge_ahead(&mut self) -> Result<bool> {
        let Some(upto) = self.queue.waiting_purge().or(self.place.purge) else { return Ok(false) };
        if self.ahead == Some(upto) {
            return Ok(false);
        }
        let records = [(Record::Purged, encode_id(&upto))].into();
        let chunk = Batch { records, purge: Some(upto.index()), ..Batch::default() };
        // LMDB gives pages out again one transaction after the next, hence the empty ones.
        for batch in [&chunk, &Batch::default(), &Batch::default()] {
            loop {
                match self.place.disk.write(batch) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) if is_full(&error) => return Ok(false),
                    Err(error) => return Err(failed("purge", error)),
                }
            }
        }
        self.ahead = Some(upto);
        Ok(true)
    }

    /// Ends the pressure once there is room for the ballast again, or enough in the files: before
    /// that, the write went through only because the ballast was given up.
    ///
    /// The state side gives the same ballast up, so this looks at it without own pressure too.
    fn leave_pressure(&mut self) {
        let pressure = &self.place.pressure;
        if pressure.is_bare() && !self.has_room(LEAST_ROOM_BYTES) {
            pressure.raise(PressureSide::Log);
        }
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now.duration_since(looked) < MAX_RETRY) {
            return;
        }
        self.looked = Some(now);
        if pressure.is_raised_by(PressureSide::State) {
            return;
        }
        let restored = self.place.ballast.restore();
        pressure.set_bare(!restored);
        let is_enough = restored || self.has_room(ROOM_BYTES);
        if is_enough && pressure.is_raised_by(PressureSide::Log) {
            pressure.clear(PressureSide::Log);
            tracing::info!("the disk of the log has room again");
        }
    }

    /// Returns whether log and state have so many freed bytes in their files.
    fn has_room(&self, bytes: u64) -> bool {
        let log_room = self.place.disk.room().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot tell how much room the log has");
            0
        });
        log_room.min(self.place.pressure.state_room()) >= bytes
    }

    fn sync(&mut self) -> Result<()> {
        let begun = Instant::now();
        let result = self.place.disk.sync().map_err(|error| failed("flush", error));
        self.counters.flush_time.note(begun.elapsed());
        self.settle(&result);
        result
    }

    /// Tells the unsynced batch how it ended.
    fn settle(&mut self, result: &Result<()>) {
        let pending = std::mem::take(&mut self.unsynced);
        if result.is_ok() {
            (self.place.durable)(pending.sequence);
        }
        pending.answer(result);
    }
}

impl<D> Drop for Work<D> {
    /// Leaves nobody waiting, even if the thread panicked.
    fn drop(&mut self) {
        let error = Error::closed("the log is closed");
        std::mem::take(&mut self.unsynced).answer(&Err(error.clone()));
        self.queue.fail(error);
    }
}

impl Counters {
    fn count(&self, batch: &Batch) {
        let entries = batch.steps.iter().map(|step| match step {
            LogStep::Append(entries) => entries.len() as u64,
            LogStep::Truncate { .. } => 0,
        });
        self.entries.fetch_add(entries.sum(), Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

/// One round of the queue, made into one batch.
struct Round {
    batch: Batch,
    pending: Pending,
    purge: Option<LogId>,
    /// Given back when the batch is written.
    room: Vec<tokio::sync::OwnedSemaphorePermit>,
}

impl Round {
    fn of(queued: Vec<Queued>, purge: Option<LogId>) -> Self {
        let mut round =
            Self { batch: Batch::default(), pending: Pending::default(), purge, room: Vec::new() };
        for Queued { sequence, operation, ack, room } in queued {
            round.pending.sequence = sequence;
            round.pending.acks.push(ack);
            round.room.extend(room);
            match operation {
                Operation::Append(entries) => round.batch.steps.push(LogStep::Append(entries)),
                Operation::Truncate { from } => round.batch.steps.push(LogStep::Truncate { from }),
                Operation::Purge(upto) => {
                    round.purge = Some(upto);
                    round.batch.records.insert(Record::Purged, encode_id(&upto));
                }
                Operation::Put(record, body) => {
                    round.batch.records.insert(record, body);
                }
                Operation::Barrier => {}
            }
        }
        round.batch.purge = round.purge.map(|upto| upto.index());
        round
    }
}

fn encode_id(id: &LogId) -> Bytes {
    let mut out = BytesMut::new();
    record::put_log_id(&mut out, id);
    out.freeze()
}

fn failed(doing: &str, error: io::Error) -> Error {
    Error::storage(format!(
        "cannot {doing} the log: this node stopped serving. Check its disk, then start it again; \
         if the disk lost data, move the data directory away and let the node join anew"
    ))
    .with_source(error)
}
