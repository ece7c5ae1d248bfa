//! Runs openraft's own suite against `LogStore`, beside the least state machine there can be.

use std::io;
use std::sync::{Arc, Mutex};

use futures_util::{Stream, StreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{EntryPayload, OptionalSend, StorageError};

use super::dir::DataDir;
use super::log::LogStore;
use super::log_lmdb::LmdbLog;
use super::pressure::DiskPressure;
use crate::command::Outcome;
use crate::raft::{LogId, SnapshotMeta, StoredMembership, TypeConfig};

type MemorySnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, ()>;

/// A state machine is a handle.
type SharedState = Arc<Mutex<MemoryState>>;

/// Applies everything to nothing, and keeps what raft asks about.
#[derive(Debug, Clone, Default)]
struct MemoryState {
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMeta>,
}

impl RaftSnapshotBuilder<TypeConfig> for SharedState {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<MemorySnapshot> {
        let mut state = super::lock(self);
        let meta =
            SnapshotMeta { last_log_id: state.applied, last_membership: state.membership.clone() };
        state.snapshot = Some(meta.clone());
        Ok(MemorySnapshot { meta, snapshot: () })
    }
}

impl RaftStateMachine<TypeConfig> for SharedState {
    type SnapshotData = ();
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let state = super::lock(self);
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let mut state = super::lock(self);
            state.applied = Some(entry.log_id());
            if let EntryPayload::Membership(membership) = &entry.payload {
                state.membership = StoredMembership::new(state.applied, membership.clone());
            }
            if let Some(responder) = responder {
                responder.send(Outcome::Done);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        Self::clone(self)
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, (): ()) -> io::Result<()> {
        let mut state = super::lock(self);
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<MemorySnapshot>> {
        let meta = super::lock(self).snapshot.clone();
        Ok(meta.map(|meta| MemorySnapshot { meta, snapshot: () }))
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, SharedState, tempfile::TempDir> for Builder {
    async fn build(
        &self,
    ) -> Result<(tempfile::TempDir, LogStore, SharedState), StorageError<TypeConfig>> {
        let temp = tempfile::tempdir().unwrap();
        let dir = Arc::new(DataDir::open(temp.path()).unwrap());
        let disk = LmdbLog::open(Arc::clone(&dir), 1 << 30).unwrap();
        let log = LogStore::start(disk, DiskPressure::default(), dir).unwrap();
        Ok((temp, log, Arc::default()))
    }
}

#[tokio::test]
async fn the_log_keeps_every_promise_that_openraft_checks() {
    Suite::test_all(Builder).await.unwrap();
}
