//! `StateMachine` is how openraft applies to a `State`, and takes and gives its snapshots.

use std::io;

use futures_util::{Stream, StreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};

use crate::raft::{LogId, Snapshot, SnapshotData, SnapshotMeta, StoredMembership, TypeConfig};
use crate::storage::snapshot::ViewSource;
use crate::storage::state::State;

/// Entries that are applied under one lock and published with one view.
const APPLY_BATCH: usize = 1024;

/// openraft's side of a [`State`].
pub(crate) struct StateMachine {
    state: State,
}

impl StateMachine {
    pub(super) const fn new(state: State) -> Self {
        Self { state }
    }
}

/// Makes snapshots of a [`State`].
pub(crate) struct SnapshotBuilder {
    state: State,
}

fn snapshot_of(source: ViewSource) -> Snapshot {
    Snapshot { meta: source.meta(), snapshot: SnapshotData::Outgoing(Box::new(source)) }
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        // openraft purges the log up to this snapshot, so it must be durable here.
        let view = self.state.checkpoint_now().await.map_err(io::Error::other)?;
        Ok(snapshot_of(self.state.resend().begin(view)))
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let view = self.state.view();
        Ok((view.applied(), view.membership().clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + Send,
    {
        let mut batches = entries.ready_chunks(APPLY_BATCH);
        while let Some(batch) = batches.next().await {
            let batch = batch.into_iter().collect::<io::Result<Vec<_>>>()?;
            let (entries, responders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            let outcomes = self.state.apply(entries).await.map_err(io::Error::other)?;
            // Only now, when every read sees what it is told.
            for (responder, outcome) in responders.into_iter().zip(outcomes) {
                if let Some(responder) = responder {
                    responder.send(outcome);
                }
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { state: self.state.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let (state, meta) = (self.state.clone(), meta.clone());
        tokio::task::spawn_blocking(move || state.install(snapshot, &meta))
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        // The last checkpoint, not the newest view: the log is purged up to what this says. One
        // whose sending broke off goes before: most of it may be where it is to go.
        let resend = self.state.resend();
        let source = resend.again().or_else(|| {
            let view = self.state.durable_view();
            view.applied().is_some().then(|| resend.begin(view))
        });
        Ok(source.map(snapshot_of))
    }
}
