//! Rolling restarts: every node is closed and opened again, one after the other, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvraft::ReplicatedMap;
use tokio::task::JoinSet;

use crate::harness::{Cluster, PATIENCE, eventually};

/// How often each node is restarted.
const ROUNDS: usize = 2;

/// Callers that count with the default settings until they are told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<u64>,
}

impl Load {
    pub(crate) fn on(maps: impl IntoIterator<Item = ReplicatedMap>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for map in maps {
            let stop = Arc::clone(&stop);
            callers.spawn(async move {
                let mut count = 0;
                while !stop.load(Ordering::SeqCst) {
                    map.increment("n", 1).await.expect("no write fails");
                    assert!(map.get("n").await.expect("no read fails").is_some());
                    count += 1;
                }
                count
            });
        }
        Self { stop, callers }
    }

    pub(crate) async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let counts = self.callers.join_all().await;
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        counts.into_iter().sum()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_fails_while_every_node_is_restarted_in_turn() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.connect(&[0, 1, 2]).await;
    let clients = Load::on([client.clone(), client]);
    let mut total = 0;
    for node in (0..3).cycle().take(3 * ROUNDS) {
        // A program calls its own node only while that is open.
        let open = cluster.others(node).into_iter().map(|node| cluster.map(node).clone());
        let members = Load::on(open.collect::<Vec<_>>());
        cluster.close(node).await;
        cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
        total += members.end().await;
    }
    total += clients.end().await;
    for node in 0..3 {
        assert_eq!(cluster.map(node).get("n").await.unwrap().unwrap(), total.to_string());
    }
    eventually("all have the same state", async || {
        let all: Vec<_> = (0..3).map(|node| cluster.map(node).status()).collect();
        let same = all.windows(2).all(|two| two[0].applied == two[1].applied);
        same.then(|| assert!(all.windows(2).all(|two| two[0].state_hash == two[1].state_hash)))
    })
    .await;
}
