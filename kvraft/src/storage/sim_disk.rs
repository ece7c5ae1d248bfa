//! `SimDisk` is a disk in memory that loses what was not flushed, fills up or fails on demand.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bytes::Bytes;
use openraft::entry::RaftEntry;

use super::dir::Ballast;
use super::lock;
use super::log_disk::{Batch, LogDisk, LogRead, LogStep, Outline, Record};
use crate::codec::Reader;
use crate::error::Result;
use crate::raft::Entry;
use crate::record;

#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) records: BTreeMap<Record, Bytes>,
}

#[derive(Debug, Default)]
struct State {
    /// What the next reader sees.
    current: Image,
    /// What a power cut leaves.
    durable: Image,
    faults: VecDeque<io::ErrorKind>,
    sync_fault: Option<io::ErrorKind>,
    stalled: bool,
    /// How often a write was tried.
    tries: usize,
}

/// Cheap to clone; clones are one disk.
#[derive(Debug, Clone, Default)]
pub(super) struct SimDisk(Arc<(Mutex<State>, Condvar)>);

impl SimDisk {
    /// Returns the disk as a power cut would leave this one.
    pub(super) fn after_power_cut(&self) -> Self {
        let durable = lock(&self.0.0).durable.clone();
        let state = State { current: durable.clone(), durable, ..State::default() };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub(super) fn durable(&self) -> Image {
        lock(&self.0.0).durable.clone()
    }

    /// Lets the next writes fail so, one each.
    pub(super) fn fail_writes(&self, faults: impl IntoIterator<Item = io::ErrorKind>) {
        lock(&self.0.0).faults.extend(faults);
    }

    pub(super) fn fail_syncs(&self, fault: io::ErrorKind) {
        lock(&self.0.0).sync_fault = Some(fault);
    }

    /// Lets writes and syncs wait until [`SimDisk::resume`].
    pub(super) fn stall(&self) {
        lock(&self.0.0).stalled = true;
    }

    pub(super) fn resume(&self) {
        lock(&self.0.0).stalled = false;
        self.0.1.notify_all();
    }

    /// Waits until `count` writes were tried in all.
    pub(super) fn wait_for_tries(&self, count: usize) {
        let state = lock(&self.0.0);
        let (state, _) = self
            .0
            .1
            .wait_timeout_while(state, Duration::from_secs(10), |state| state.tries < count)
            .unwrap();
        assert!(state.tries >= count, "{} writes were tried", state.tries);
    }

    fn when_running(&self, act: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let state = lock(&self.0.0);
        let mut state = self.0.1.wait_while(state, |state| state.stalled).unwrap();
        act(&mut state)
    }
}

impl Image {
    fn apply(&mut self, batch: &Batch) {
        self.records.extend(batch.records.clone());
        for step in &batch.steps {
            match step {
                LogStep::Append(entries) => {
                    self.entries.extend(
                        entries.iter().map(|entry| (entry.log_id().index(), entry.clone())),
                    );
                }
                LogStep::Truncate { from } => drop(self.entries.split_off(from)),
            }
        }
        if let Some(through) = batch.purge {
            self.entries.retain(|index, _| *index > through);
        }
    }
}

impl LogDisk for SimDisk {
    fn room(&self) -> io::Result<u64> {
        Ok(0)
    }

    fn write(&mut self, batch: &Batch) -> io::Result<bool> {
        lock(&self.0.0).tries += 1;
        self.0.1.notify_all();
        self.when_running(|state| {
            if let Some(fault) = state.faults.pop_front() {
                return Err(fault.into());
            }
            // As with LMDB without synced meta pages: a commit makes the one before durable.
            state.durable = state.current.clone();
            state.current.apply(batch);
            Ok(())
        })?;
        Ok(false)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.when_running(|state| {
            if let Some(fault) = state.sync_fault {
                return Err(fault.into());
            }
            state.durable = state.current.clone();
            Ok(())
        })
    }
}

impl LogRead for SimDisk {
    fn entries(&self, range: Range<u64>, max_bytes: usize) -> Result<Vec<Entry>> {
        let state = lock(&self.0.0);
        let mut bytes = 0;
        let entries = state.current.entries.range(range).take_while(|(_, entry)| {
            let first = bytes == 0;
            bytes += record::entry_len(entry);
            first || bytes <= max_bytes
        });
        Ok(entries.map(|(_, entry)| entry.clone()).collect())
    }

    fn record(&self, record: Record) -> Result<Option<Bytes>> {
        Ok(lock(&self.0.0).current.records.get(&record).cloned())
    }

    fn peers(&self) -> Result<Vec<(u64, Bytes)>> {
        let state = lock(&self.0.0);
        let peers = state.current.records.range(Record::Peer(0)..).filter_map(|(record, body)| {
            if let Record::Peer(node_id) = record { Some((*node_id, body.clone())) } else { None }
        });
        Ok(peers.collect())
    }

    fn outline(&self) -> Result<Outline> {
        let purged = self.record(Record::Purged)?;
        let purged = purged.map(|body| record::read_log_id(&mut Reader::new(body)).unwrap());
        let state = lock(&self.0.0);
        let entries = &state.current.entries;
        Ok(Outline {
            purged,
            first: entries.keys().next().copied(),
            last: entries.values().next_back().map(|entry| entry.log_id()).or(purged),
            bytes: entries.values().map(|entry| record::entry_len(entry) as u64).sum(),
            purge_left: false,
        })
    }
}

/// Counts how often it was released.
#[derive(Debug, Default)]
pub(super) struct SimBallast(pub(super) AtomicUsize);

impl Ballast for SimBallast {
    fn release(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn restore(&self) -> bool {
        true
    }
}
