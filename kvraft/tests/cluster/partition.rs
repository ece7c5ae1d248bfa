//! What a node does that cannot reach the majority.

use std::time::Duration;

use kvraft::{Consistency, ErrorKind, ReadOptions, Role, WriteOptions};

use crate::harness::{Cluster, assert_kind, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_in_the_minority_never_acknowledges_and_steps_down_and_catches_up() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    cluster.map(old).put("k", "old").await.unwrap();
    cluster.isolate(&[old]);
    let short = Duration::from_secs(2);
    let write = cluster.map(old).put_with("k", "lost", WriteOptions::new().timeout(short)).await;
    assert_kind(write, &[ErrorKind::Unavailable, ErrorKind::Indeterminate]);
    let read = cluster.map(old).get_with("k", ReadOptions::new().timeout(short)).await;
    assert_kind(read, &[ErrorKind::Unavailable]);
    let local = ReadOptions::new().consistency(Consistency::Local);
    assert_eq!(cluster.map(old).get_with("k", local).await.unwrap().unwrap().value, "old");

    let rest = cluster.others(old);
    cluster.leader_among(&rest).await;
    cluster.map(rest[0]).put("k", "new").await.unwrap();
    cluster.network.heal();
    eventually("the old leader follows", async || {
        (cluster.map(old).status().role == Role::Follower).then_some(())
    })
    .await;
    assert_eq!(cluster.map(old).get("k").await.unwrap().unwrap(), "new");
    assert_eq!(cluster.map(rest[1]).get("k").await.unwrap().unwrap(), "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_diverged_in_a_partition_are_healed() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    cluster.isolate(&[old]);
    // Entries that only the cut-off leader has: they must go.
    let short = WriteOptions::new().timeout(Duration::from_millis(100));
    for n in 0..20 {
        let write = cluster.map(old).put_with(format!("lost{n}"), "x", short.clone()).await;
        assert_kind(write, &[ErrorKind::Unavailable, ErrorKind::Indeterminate]);
    }
    let rest = cluster.others(old);
    cluster.leader_among(&rest).await;
    for n in 0..20 {
        cluster.map(rest[0]).put(format!("kept{n}"), "y").await.unwrap();
    }
    cluster.network.heal();
    eventually("the old leader has the others' keys and none of its own", async || {
        (cluster.map(old).status().keys == 20).then_some(())
    })
    .await;
    for n in 0..20 {
        assert!(cluster.map(old).get(format!("kept{n}")).await.unwrap().is_some());
        assert!(cluster.map(old).get(format!("lost{n}")).await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_lost_its_way_in_a_lossy_network_is_applied_once() {
    let cluster = Cluster::start(3).await;
    cluster.network.lose(50);
    let leader = cluster.leader().await;
    let follower = cluster.others(leader)[0];
    for n in 0..30 {
        let before = cluster.map(follower).status().revision;
        let revision = cluster.map(follower).put("k", n.to_string()).await.unwrap();
        assert!(revision > before);
    }
    cluster.network.heal();
    let entry = cluster.map(leader).get_with("k", ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!(entry.value, "29");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_leader_vanishes_while_it_is_under_way_is_finished_by_the_next() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    let rest = cluster.others(old);
    let writer = cluster.map(rest[0]).clone();
    writer.put("warm", "up").await.unwrap();
    // The leader hears the write, but nobody hears the leader any more.
    let addresses: Vec<_> = rest.iter().map(|node| cluster.address(*node)).collect();
    cluster.network.cut_one_way(&[cluster.address(old)], &addresses);
    let revision = writer.put("k", "v").await.expect("the next leader finishes it");
    cluster.network.heal();
    let entry = cluster.map(rest[1]).get_with("k", ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.created), (revision, revision), "applied once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_read_sees_what_was_acknowledged_and_a_leader_that_is_cut_off_gives_none_once_another_leads()
 {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    let rest = cluster.others(old);
    let lease = ReadOptions::new().consistency(Consistency::Lease);
    for n in 0..50 {
        let value = n.to_string();
        cluster.map(n % 3).put("k", &value).await.unwrap();
        let entry = cluster.map((n + 1) % 3).get_with("k", lease).await.unwrap().unwrap();
        assert_eq!(entry.value, value);
    }
    cluster.isolate(&[old]);
    let next = cluster.leader_among(&rest).await;
    cluster.map(next).put("k", "new").await.unwrap();
    let short = lease.timeout(Duration::from_millis(200));
    assert_kind(cluster.map(old).get_with("k", short).await, &[ErrorKind::Unavailable]);
    let entry = cluster.map(next).get_with("k", lease).await.unwrap().unwrap();
    assert_eq!(entry.value, "new");
}
