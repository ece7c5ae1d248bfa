//! What one node writes, the others have, whatever happened to them meanwhile.

use kvraft::{Consistency, KeyRange, ReadOptions, ScanOptions};

use crate::harness::{Cluster, PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn what_any_node_writes_every_node_reads() {
    let cluster = Cluster::start(3).await;
    for node in 0..3 {
        cluster.map(node).put(format!("from{node}"), format!("{node}")).await.unwrap();
    }
    for node in 0..3 {
        for other in 0..3 {
            let value = cluster.map(node).get(format!("from{other}")).await.unwrap();
            assert_eq!(value.unwrap(), format!("{other}"));
        }
    }
    assert!(cluster.map(1).delete("from0").await.unwrap());
    assert!(!cluster.map(2).delete("from0").await.unwrap());
    assert!(cluster.map(0).get("from0").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_reads_its_writes_locally_with_their_revision() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.others(cluster.leader().await)[0];
    for n in 0..50 {
        let revision = cluster.map(follower).put("k", n.to_string()).await.unwrap();
        let options = ReadOptions::new().consistency(Consistency::Local).min_revision(revision);
        let entry = cluster.map(follower).get_with("k", options).await.unwrap().unwrap();
        assert_eq!(entry.value, n.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_catches_up_by_log() {
    let mut cluster = Cluster::start(3).await;
    let away = cluster.others(cluster.leader().await)[0];
    cluster.close(away).await;
    let writer = cluster.leader_among(&cluster.others(away)).await;
    for n in 0..100 {
        cluster.map(writer).put(format!("k{n}"), "v").await.unwrap();
    }
    cluster.open(away).await.wait_ready(PATIENCE).await.unwrap();
    cluster.wait_local(away, "k99", "v").await;
    assert_eq!(cluster.map(away).status().keys, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_away_too_long_catches_up_by_snapshot() {
    // The log keeps about 64 KiB, and the follower misses ten times that.
    let mut cluster = Cluster::start_with(3, |_, config| config.log_keep_bytes(64 << 10)).await;
    let away = cluster.others(cluster.leader().await)[0];
    let last_seen = cluster.map(away).status().last_log;
    cluster.close(away).await;
    let rest = cluster.others(away);
    let writer = cluster.leader_among(&rest).await;
    for n in 0..160 {
        cluster.map(writer).put(format!("k{n}"), vec![b'x'; 4096]).await.unwrap();
    }
    eventually("the others have purged what the follower needs", async || {
        rest.iter().all(|node| cluster.map(*node).status().first_log > last_seen + 1).then_some(())
    })
    .await;
    cluster.open(away).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(away).get("k159").await.unwrap().unwrap(), vec![b'x'; 4096]);
    assert_eq!(cluster.map(away).status().keys, 160);
    assert!(cluster.map(away).status().first_log > last_seen + 1, "it came by snapshot");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_restarted_have_everything() {
    let mut cluster = Cluster::start(3).await;
    for n in 0..50 {
        cluster.map(n % 3).put(format!("k{n}"), n.to_string()).await.unwrap();
    }
    for node in 0..3 {
        cluster.close(node).await;
    }
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    for n in 0..50 {
        assert_eq!(cluster.map(n % 3).get(format!("k{n}")).await.unwrap().unwrap(), n.to_string());
    }
    let page = cluster.map(0).page(KeyRange::all(), ScanOptions::new().limit(7)).await.unwrap();
    assert_eq!((page.entries.len(), page.more), (7, true));
}
