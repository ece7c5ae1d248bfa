//! Upkeep: what a node does by itself, again and again, while it serves.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;

use super::core::Core;
use super::life::Stage;
use crate::error::{Error, Result};
use crate::raft::StoreFailure;

/// How often a node looks after itself.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long the members have to recognise this node before it may become ready.
const FIRST_GREETING: Duration = Duration::from_millis(500);
/// Log bytes below which no snapshot is worth its work.
const LEAST_LOG_BYTES: u64 = 64 << 20;
/// Log bytes above which a snapshot is due, however large the state is: a follower that was away
/// for a while should find its entries, and a start should not replay for long.
const MOST_LOG_BYTES: u64 = 1 << 30;
/// Log bytes above which it is due on a full disk: who was away gets a snapshot instead.
const FULL_DISK_LOG_BYTES: u64 = 1 << 20;
/// How many times its bound a log may have for the sake of a snapshot that is on its way: a slow
/// receiver must not fill the disks of the others.
const MOST_BOUNDS_HELD: u64 = 4;

impl Core {
    /// Looks after the node until it ends.
    pub(super) async fn look_after(self: Arc<Self>) {
        loop {
            if let Err(error) = self.look_once().await {
                tracing::warn!(%error, "upkeep has to try again");
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = self.life.ended() => return,
            }
        }
    }

    async fn look_once(&self) -> Result<()> {
        self.watch_raft();
        self.tidy_snapshots();
        self.settle_cluster().await?;
        self.shorten_log().await
    }

    /// Stops serving once raft has stopped: it does so only after a failure of the disk.
    fn watch_raft(&self) {
        let stopped = self.raft.metrics().borrow_watched().running_state.clone().err();
        if let Some(fatal) = stopped
            && !self.is_closing()
        {
            self.life.fail(StoreFailure::behind(&fatal).unwrap_or_else(|| {
                Error::storage("the disk of this node failed; see the log, repair it and restart")
                    .with_source(fatal)
            }));
        }
    }

    /// Stops serving once raft tells no more: it has stopped and told why, or it panicked.
    pub(super) async fn watch_consensus(self: Arc<Self>) {
        let mut metrics = self.raft.server_metrics();
        loop {
            tokio::select! {
                changed = metrics.changed() => if changed.is_err() { break },
                _ = self.life.ended() => return,
            }
        }
        self.watch_raft();
        if !self.is_closing() && self.life.failure().is_none() {
            self.life.fail(Error::internal(
                "the consensus of this node panicked: restart it, and report what its log says",
            ));
        }
    }

    /// Lets go what is kept of snapshots that broke off and do not go on.
    fn tidy_snapshots(&self) {
        let now = self.now();
        self.arrivals.tick(now);
        if self.log.under_pressure() {
            self.state.resend().clear();
        } else {
            self.state.resend().tick(now);
        }
    }

    /// Makes the cluster id permanent once the log says which one it is.
    async fn settle_cluster(&self) -> Result<()> {
        let Some(cluster_id) = self.view().cluster_id() else { return Ok(()) };
        match self.registry.cluster_id() {
            Some(settled) if settled == cluster_id => Ok(()),
            Some(settled) => {
                self.life.fail(Error::corrupt(format!(
                    "the log belongs to cluster {cluster_id:032x}, the data directory to {settled:032x}; move the \
                     directory away and let the node join anew"
                )));
                Ok(())
            }
            None => self.registry.settle_cluster(cluster_id).await,
        }
    }

    /// Has a snapshot taken when the log has grown large against the state, and purges what no
    /// running member is likely to need: half of the bound stays for those that were away, and for a
    /// while what follows a snapshot on its way, since whoever gets it needs that next.
    async fn shorten_log(&self) -> Result<()> {
        let bound = self
            .config
            .log_keep_bytes
            .unwrap_or_else(|| self.view().bytes().clamp(LEAST_LOG_BYTES, MOST_LOG_BYTES));
        let bound =
            if self.log.is_short_of_room() { bound.min(FULL_DISK_LOG_BYTES) } else { bound };
        let log_bytes = self.log.log_bytes();
        if log_bytes <= bound {
            return Ok(());
        }
        let stopped = |fatal| Error::unavailable("raft has stopped").with_source(fatal);
        let snapshot = self.raft.metrics().borrow_watched().snapshot.map(|id| id.index());
        if let (Some(snapshot), Some(upto)) = (snapshot, self.log.index_keeping_bytes(bound / 2)) {
            let held = (log_bytes / bound.max(1) < MOST_BOUNDS_HELD)
                .then(|| self.state.resend().lowest())
                .flatten();
            let purged = upto.min(snapshot).min(held.unwrap_or(snapshot));
            self.state.resend().purge(purged);
            self.raft.trigger().purge_log(purged).await.map_err(stopped)?;
            if upto <= snapshot {
                return Ok(());
            }
        }
        self.raft.trigger().snapshot().await.map_err(stopped)
    }

    /// Stops serving once the state has failed: its next apply would only find it out later.
    pub(super) async fn watch_state(self: Arc<Self>) {
        let error = self.state.failed().await;
        if !self.is_closing() {
            self.life.fail(error);
        }
    }

    /// Takes a node that may not serve out of consensus too: a leader that takes no calls would
    /// hold its whole cluster up, and a copy of a disk must not vote.
    pub(super) async fn withdraw(self: Arc<Self>) {
        self.life.ended().await;
        if self.life.failure().is_none() {
            return;
        }
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop");
        }
    }

    /// Finds out, once, that everything acknowledged before the start is applied here; only then
    /// this node is ready.
    pub(super) async fn recover(self: Arc<Self>) {
        // What raft tells unasked is empty in the first moment after a start; it answers behind that.
        // That it has stopped is noticed elsewhere.
        self.raft.with_raft_state(|_| ()).await.ok();
        let mut strangers = self.others();
        let discovered = self.discovered_addresses().await;
        strangers.extend(discovered.into_iter().map(|address| (address, None)));
        let strangers = self.greet(strangers, FIRST_GREETING).await;
        while self.life.check().is_ok() {
            let deadline = self.now() + self.config.request_timeout;
            match self.read_barrier(deadline).await {
                Ok(()) => {
                    self.set_obstacle("");
                    self.life.advance(Stage::Serving);
                    break;
                }
                Err(error) => tracing::debug!(%error, "not recovered yet"),
            }
        }
        self.greet_until_met(strangers).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::error::ErrorKind;
    use crate::node::Node;

    #[tokio::test]
    async fn a_node_whose_consensus_panicked_says_so_and_serves_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(Config::new(dir.path()).check().unwrap()).await.unwrap();
        node.wait_ready(node.now() + Duration::from_secs(10)).await.unwrap();
        let core = node.core().unwrap();
        let panicked = core.raft.with_raft_state(|_| -> u8 { panic!("on purpose") }).await;
        panicked.expect_err("nobody is left to answer");
        let why = tokio::time::timeout(Duration::from_secs(10), core.life.ended()).await.unwrap();
        assert_eq!(why.kind(), ErrorKind::Internal, "{why}");
        assert!(why.to_string().contains("panicked"), "{why}");
        assert!(node.status().failure.is_some());
    }
}
