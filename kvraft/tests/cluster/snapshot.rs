//! Snapshots on their way: how fast they go, and what becomes of one whose way breaks off.

use std::time::{Duration, Instant};

use kvraft::{Config, ReplicatedMap};

use crate::harness::{Cluster, PATIENCE, eventually};

const MIB: u64 = 1 << 20;
/// A state of 24 MiB.
const VALUES: u64 = 24;

/// Keeps so little of the log that whoever joins gets a snapshot, and sends that slowly.
fn slow(_: usize, config: Config) -> Config {
    config.auto_promote(false).log_keep_bytes(64 << 10).snapshot_bytes_per_second(8 * MIB)
}

/// Three nodes with a state of which the log has nothing any more, and a fourth that may join.
async fn filled() -> (Cluster, usize) {
    let cluster = Cluster::found_with(3, 1, slow).await;
    let leader = cluster.leader().await;
    for n in 0..VALUES {
        let byte = u8::try_from(n).unwrap();
        cluster.map(leader).put(format!("k{n:02}"), vec![byte; 1 << 20]).await.unwrap();
    }
    eventually("the log is cut off everywhere", async || {
        (0..3).all(|node| cluster.map(node).status().first_log > VALUES).then_some(())
    })
    .await;
    (cluster, leader)
}

fn received(map: &ReplicatedMap) -> u64 {
    map.metrics().unwrap().snapshot_bytes_received
}

async fn wait_half(learner: &ReplicatedMap) {
    eventually("half of the snapshot is there", async || {
        (received(learner) >= VALUES / 2 * MIB).then_some(())
    })
    .await;
}

async fn wait_same(cluster: &Cluster, node: usize, other: usize) {
    eventually("both have the same state", async || {
        let (one, other) = (cluster.map(node).status(), cluster.map(other).status());
        let same = (one.applied, &one.state_hash) == (other.applied, &other.state_hash);
        (same && one.keys == VALUES && one.applied > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_whose_way_breaks_off_goes_on_from_there() {
    let (mut cluster, leader) = filled().await;
    let learner = cluster.open(3).await;
    wait_half(&learner).await;
    cluster.isolate(&[3]);
    let sender = cluster.map(leader).clone();
    eventually("the leader notices", async || {
        (sender.metrics().unwrap().snapshots_broken_off > 0).then_some(())
    })
    .await;
    assert_eq!(learner.status().keys, 0);
    cluster.network.heal();
    learner.wait_ready(PATIENCE).await.unwrap();
    wait_same(&cluster, 3, leader).await;
    let whole = VALUES * MIB;
    let (sent, came) = (sender.metrics().unwrap().snapshot_bytes_sent, received(&learner));
    assert!((whole..whole + 2 * MIB).contains(&came), "{came}");
    // What was given to the connection meanwhile is lost; that is half of it at most.
    assert!(sent < whole / 10 * 16, "{sent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_a_former_leader_is_thrown_away_for_the_next_ones() {
    let (mut cluster, leader) = filled().await;
    let learner = cluster.open(3).await;
    wait_half(&learner).await;
    cluster.close(leader).await;
    let next = cluster.leader_among(&cluster.others(leader)[..2]).await;
    learner.wait_ready(PATIENCE).await.unwrap();
    wait_same(&cluster, 3, next).await;
    let sent = cluster.map(next).metrics().unwrap().snapshot_bytes_sent;
    assert!((VALUES * MIB..(VALUES + 2) * MIB).contains(&sent), "{sent}");
    let states = std::fs::read_dir(cluster.path(3).join("state")).unwrap();
    assert_eq!(states.count(), 1, "the part is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_keeps_to_its_rate_and_writes_go_on_beside_it() {
    let (mut cluster, leader) = filled().await;
    let start = Instant::now();
    let learner = cluster.open(3).await;
    let writer = cluster.map(leader).clone();
    // It is small from the first write on: the state may be sent as it was before or after.
    let whole = (VALUES - 1) * MIB;
    eventually("the state has come while writes went on", async || {
        writer.put("k00", "small").await.unwrap();
        (received(&learner) >= whole).then_some(())
    })
    .await;
    // The first of its chunks waits for nobody; each other one waits an eighth of a second.
    let least = Duration::from_millis((VALUES - 2) * 1000 / 8);
    assert!(start.elapsed() >= least, "{:?}", start.elapsed());
    learner.wait_ready(PATIENCE).await.unwrap();
    wait_same(&cluster, 3, leader).await;
}
