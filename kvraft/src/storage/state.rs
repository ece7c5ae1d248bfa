//! `State` is the replicated state of this node: what is applied, seen and kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::command::{KeyRange, Outcome};
use crate::durations::Durations;
use crate::error::{Error, Result};
use crate::raft::{Entry, SnapshotData, SnapshotMeta, SnapshotSource, StagedState};
use crate::storage::LogBarrier;
use crate::storage::apply::Replica;
use crate::storage::checkpoint::{Checkpointer, Signal};
use crate::storage::generation::Generations;
use crate::storage::history::{History, Watcher};
use crate::storage::pressure::{DiskPressure, PressureSide};
use crate::storage::resend::Resend;
use crate::storage::sample::Samples;
use crate::storage::snapshot_sink::SnapshotSink;
use crate::storage::state_disk::StateDisk;
use crate::storage::state_machine::StateMachine;
pub(crate) use crate::storage::state_options::{StateHooks, StateOptions, StateStats};
use crate::storage::view::View;

/// The handle to the state; it ends its checkpoint thread when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct State {
    shared: Arc<Shared>,
    checkpointer: Arc<Checkpointer>,
}

/// What the handles and the checkpoint thread share.
pub(super) struct Shared {
    replica: Mutex<Replica>,
    published: ArcSwap<View>,
    applied: watch::Sender<Option<u64>>,
    history: Arc<History>,
    /// Wakes when a lock has come to another holder.
    lock_changes: watch::Sender<u64>,
    samples: watch::Sender<Samples>,
    durable: watch::Sender<Durable>,
    pub(super) disk: Box<dyn StateDisk>,
    /// Held by whoever writes the disk: a checkpoint or an install. Taken before `replica`.
    writer: Mutex<()>,
    pub(super) signal: Signal,
    barrier: Arc<dyn LogBarrier>,
    pub(super) pressure: DiskPressure,
    pub(super) release_ballast: Arc<dyn Fn() + Send + Sync>,
    pub(super) checkpoint_interval: Duration,
    checkpoint_bytes: usize,
    buffer_cap_bytes: usize,
    checkpoint_time: Durations,
    leases_expired: AtomicU64,
    /// Which sink is the newest: only that one goes on.
    newest_sink: Arc<AtomicU64>,
    resend: Arc<Resend>,
}

/// The last checkpoint.
struct Durable {
    view: Arc<View>,
    /// The last request that it serves.
    ticket: u64,
    /// Why there will be no further one.
    failure: Option<Error>,
}

impl State {
    /// Loads the state from its disk and starts its thread. The log must be running.
    ///
    /// # Errors
    /// `Corrupt` if the state is damaged, `Refused` if it is of a newer format than this node knows,
    /// `Storage` if the disk fails.
    pub(crate) fn open(
        disk: Generations,
        options: &StateOptions,
        hooks: StateHooks,
    ) -> Result<Self> {
        Self::start(Box::new(disk), options, hooks)
    }

    fn start(disk: Box<dyn StateDisk>, options: &StateOptions, hooks: StateHooks) -> Result<Self> {
        let replica = Replica::new(disk.load()?, options.format_level)?;
        let view = Arc::new(replica.view());
        let applied = view.applied().map(|log_id| log_id.index);
        let durable = Durable { view: Arc::clone(&view), ticket: 0, failure: None };
        let history = History::new(view.revision());
        let shared = Arc::new(Shared {
            replica: Mutex::new(replica),
            published: ArcSwap::new(view),
            applied: watch::Sender::new(applied),
            history,
            lock_changes: watch::Sender::new(0),
            samples: watch::Sender::default(),
            durable: watch::Sender::new(durable),
            disk,
            writer: Mutex::new(()),
            signal: Signal::default(),
            barrier: hooks.barrier,
            pressure: hooks.pressure,
            release_ballast: hooks.release_ballast,
            checkpoint_interval: options.checkpoint_interval,
            checkpoint_bytes: options.checkpoint_bytes,
            buffer_cap_bytes: options.buffer_cap_bytes,
            checkpoint_time: Durations::default(),
            leases_expired: AtomicU64::new(0),
            newest_sink: Arc::new(AtomicU64::new(0)),
            resend: Arc::default(),
        });
        let checkpointer = Arc::new(Checkpointer::start(Arc::clone(&shared))?);
        Ok(Self { shared, checkpointer })
    }

    /// Returns openraft's side of this state.
    pub(crate) fn state_machine(&self) -> StateMachine {
        StateMachine::new(self.clone())
    }

    /// Returns the newest state that reads may see.
    pub(crate) fn view(&self) -> Arc<View> {
        self.shared.published.load_full()
    }

    /// Follows the applied index; [`State::view`] shows at least what it says.
    pub(crate) fn applied(&self) -> watch::Receiver<Option<u64>> {
        self.shared.applied.subscribe()
    }

    /// Follows the changes of a range from a revision on, or from what comes next.
    pub(crate) fn watch(&self, range: KeyRange, from: Option<u64>) -> Result<Watcher> {
        self.shared.history.watch(range, from)
    }

    /// Wakes whenever a lock has come to another holder, or may have; [`State::view`] shows it.
    pub(crate) fn lock_changes(&self) -> watch::Receiver<u64> {
        self.shared.lock_changes.subscribe()
    }

    /// Follows the hashes of those moments at which the members' states are compared.
    pub(crate) fn samples(&self) -> watch::Receiver<Samples> {
        self.shared.samples.subscribe()
    }

    /// Returns the log id up to which the log may be purged: recovery starts behind it.
    #[cfg(test)]
    pub(crate) fn durable(&self) -> Option<crate::raft::LogId> {
        self.durable_view().applied()
    }

    /// Returns the state of the last checkpoint.
    pub(super) fn durable_view(&self) -> Arc<View> {
        Arc::clone(&self.shared.durable.borrow().view)
    }

    /// Applies a batch, publishes it as one view, and only then returns what to answer.
    pub(super) async fn apply(&self, entries: Vec<Entry>) -> Result<Vec<Outcome>> {
        self.shared.room_in_buffer().await?;
        self.shared.apply(entries)
    }

    /// Waits until a checkpoint holds all that is applied by now, and returns that state.
    pub(crate) async fn checkpoint_now(&self) -> Result<Arc<View>> {
        let ticket = self.shared.signal.request();
        let mut durable = self.shared.durable.subscribe();
        let reached = durable
            .wait_for(|durable| durable.ticket >= ticket || durable.failure.is_some())
            .await
            .map_err(|_| Error::closed("the map is closed: open it again"))?;
        match &reached.failure {
            Some(error) if reached.ticket < ticket => Err(error.clone()),
            Some(_) | None => Ok(Arc::clone(&reached.view)),
        }
    }

    /// The blocking twin of [`State::checkpoint_now`], for threads without an executor.
    #[cfg(test)]
    pub(crate) fn checkpoint_blocking(&self) -> Result<Arc<View>> {
        futures_executor::block_on(self.checkpoint_now())
    }

    /// Waits until the state has failed or was closed, and says why: it serves no more writes.
    pub(crate) async fn failed(&self) -> Error {
        let mut durable = self.shared.durable.subscribe();
        let failure = durable.wait_for(|durable| durable.failure.is_some()).await.ok();
        failure
            .and_then(|durable| durable.failure.clone())
            .unwrap_or_else(|| Error::closed("the map is closed: open it again"))
    }

    /// Begins to receive a snapshot; a sink that is still receiving an older one fails.
    pub(crate) fn snapshot_sink(&self, meta: SnapshotMeta) -> Result<SnapshotSink> {
        let stage = self.shared.disk.stage()?;
        Ok(SnapshotSink::new(stage, meta, Arc::clone(&self.shared.newest_sink)))
    }

    /// Returns the snapshots that are being sent of this state.
    pub(crate) fn resend(&self) -> &Arc<Resend> {
        &self.shared.resend
    }

    pub(crate) fn stats(&self) -> Result<StateStats> {
        Ok(StateStats {
            buffer_bytes: self.view().layers.buffer_bytes() as u64,
            disk_bytes: self.shared.disk.used_bytes()?,
            checkpoint_time: self.shared.checkpoint_time.read(),
            leases_expired: self.shared.leases_expired.load(Ordering::Relaxed),
            history: self.shared.history.stats(),
        })
    }

    /// Writes a last checkpoint and ends the thread. Blocks. Close it before the log.
    ///
    /// The files stay open until the last handle and the last view are dropped.
    pub(crate) fn close(&self) -> Result<()> {
        self.checkpointer.finish()
    }

    /// Replaces the whole state by a snapshot. Blocks.
    pub(super) fn install(&self, data: SnapshotData, meta: &SnapshotMeta) -> Result<()> {
        let staged = match data {
            SnapshotData::Incoming(staged) => staged,
            SnapshotData::Outgoing(source) => self.receive(source, meta)?,
        };
        self.shared.install(staged, meta)
    }

    /// Takes a snapshot that another state of this process offers.
    fn receive(
        &self,
        mut source: Box<dyn SnapshotSource>,
        meta: &SnapshotMeta,
    ) -> Result<StagedState> {
        let mut sink = self.snapshot_sink(meta.clone())?;
        let failed = |error| Error::storage("cannot read the snapshot").with_source(error);
        while let Some(chunk) = source.next_chunk().map_err(failed)? {
            sink.write(&chunk)?;
        }
        source.settle();
        sink.finish()
    }
}

impl Shared {
    fn replica(&self) -> Result<MutexGuard<'_, Replica>> {
        self.replica
            .lock()
            .map_err(|_| Error::internal("a thread panicked while it changed the state"))
    }

    fn writer(&self) -> MutexGuard<'_, ()> {
        // It guards no data: a panic elsewhere leaves nothing half done.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_alive(&self) -> Result<()> {
        self.durable.borrow().failure.clone().map_or(Ok(()), Err)
    }

    /// Ends all further writes; the first reason stays.
    pub(super) fn fail(&self, error: Error) {
        self.durable.send_modify(|durable| {
            durable.failure.get_or_insert(error);
        });
    }

    /// Shows readers the replica as it is. Called with its lock held, so that views go forward.
    fn publish(&self, replica: &Replica) {
        let view = Arc::new(replica.view());
        let applied = view.applied().map(|log_id| log_id.index);
        self.published.store(view);
        self.leases_expired.store(replica.leases_expired(), Ordering::Relaxed);
        let locks = replica.lock_changes();
        self.lock_changes.send_if_modified(|last| std::mem::replace(last, locks) != locks);
        self.applied.send_if_modified(|index| std::mem::replace(index, applied) != applied);
    }

    /// Applies a batch and publishes it as one view.
    fn apply(&self, entries: Vec<Entry>) -> Result<Vec<Outcome>> {
        let mut replica = self.replica()?;
        self.check_alive()?;
        let outcomes: Result<Vec<_>> =
            entries.into_iter().map(|entry| replica.apply(entry)).collect();
        match outcomes {
            Ok(_) => {
                // Before the view: whoever waits for that finds the sample.
                let samples = replica.take_samples();
                if !samples.is_empty() {
                    self.samples.send_modify(|all| samples.into_iter().for_each(|s| all.add(s)));
                }
                self.publish(&replica);
                let latest = self.published.load().revision();
                self.history.publish(replica.take_changes(), latest);
            }
            // Said before the lock is given back: nobody may write what is half applied.
            Err(ref error) => self.fail(error.clone()),
        }
        if replica.active_bytes() >= self.checkpoint_bytes {
            self.signal.wake();
        }
        outcomes
    }

    /// Waits while the buffer is at its bound and a checkpoint is being written.
    async fn room_in_buffer(&self) -> Result<()> {
        let mut durable = self.durable.subscribe();
        loop {
            let failure = durable.borrow_and_update().failure.clone();
            if let Some(error) = failure {
                return Err(error);
            }
            let full = {
                let replica = self.replica()?;
                replica.is_frozen() && replica.buffer_bytes() > self.buffer_cap_bytes
            };
            if !full {
                return Ok(());
            }
            durable
                .changed()
                .await
                .map_err(|_| Error::closed("the map is closed: open it again"))?;
        }
    }

    /// Writes one checkpoint, unless nothing was applied since the last.
    pub(super) fn checkpoint(&self, ticket: u64) -> Result<()> {
        let writer = self.writer();
        let durable = self.write_changes()?;
        self.durable.send_modify(|last| {
            if let Some(view) = durable {
                last.view = view;
            }
            last.ticket = ticket;
        });
        drop(writer);
        Ok(())
    }

    fn write_changes(&self) -> Result<Option<Arc<View>>> {
        let begun = Instant::now();
        let mut replica = self.replica()?;
        self.check_alive()?;
        if replica.applied() == self.durable.borrow().view.applied() {
            return Ok(None);
        }
        let checkpoint = replica.freeze();
        self.publish(&replica);
        drop(replica);
        // Entries are applied before they are flushed here: without this a crash could leave a
        // state ahead of its log, and openraft would not start from that.
        self.barrier.flush()?;
        let disk = self.disk.commit(&checkpoint)?;
        self.checkpoint_time.note(begun.elapsed());
        let frozen = checkpoint.entries.clone();
        let durable = View::of_checkpoint(checkpoint, Arc::clone(&disk));
        let mut replica = self.replica()?;
        replica.thaw(disk);
        self.publish(&replica);
        drop(replica);
        // Freeing a large tree takes long: not while apply waits for the lock.
        drop(frozen);
        Ok(Some(Arc::new(durable)))
    }

    /// Replaces the whole state by a staged one.
    fn install(&self, staged: StagedState, meta: &SnapshotMeta) -> Result<()> {
        let writer = self.writer();
        self.check_alive()?;
        self.barrier.flush()?;
        let installed = self.replace_state(staged, meta);
        if let Err(error) = &installed {
            // The directory may be replaced and the memory not: nothing may be written any more.
            self.fail(error.clone());
        }
        drop(writer);
        installed
    }

    fn replace_state(&self, staged: StagedState, meta: &SnapshotMeta) -> Result<()> {
        // openraft purges the log up to it.
        self.resend.purge(meta.last_log_id.map_or(0, |id| id.index));
        let loaded = self.disk.install(staged)?;
        if loaded.meta.applied != meta.last_log_id {
            return Err(Error::internal("a snapshot was installed under another log id"));
        }
        let mut replica = self.replica()?;
        *replica = Replica::following(loaded, &replica)?;
        let durable = Arc::new(replica.view());
        self.publish(&replica);
        self.history.reset(durable.revision());
        drop(replica);
        self.durable.send_modify(|last| last.view = durable);
        self.pressure.clear(PressureSide::State);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
