//! Leases and what ends with them: never early, and soon after their time.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kvraft::{ErrorKind, KeyRange, ReadOptions, WatchEvent, WatchOptions, WriteOptions};

use crate::harness::{Cluster, assert_kind, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_time_to_live_goes_not_before_it_and_on_all_nodes() {
    let cluster = Cluster::start(3).await;
    let ttl = Duration::from_millis(300);
    let begin = Instant::now();
    let map = cluster.map(cluster.others(cluster.leader().await)[0]);
    map.put_with("short", "x", WriteOptions::new().ttl(ttl)).await.unwrap();
    map.put_with("renewed", "x", WriteOptions::new().ttl(ttl)).await.unwrap();
    map.put("renewed", "stays").await.unwrap();
    let entry = map.get_with("short", ReadOptions::new()).await.unwrap();
    if let Some(entry) = entry {
        assert!(entry.lease.is_some());
    }
    for node in 0..3 {
        eventually("the key is gone", async || {
            cluster.map(node).get("short").await.unwrap().is_none().then_some(())
        })
        .await;
        assert!(begin.elapsed() >= ttl);
        assert!(cluster.map(node).get("renewed").await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_kept_alive_outlives_its_leader_and_one_that_is_not_ends() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let map = cluster.map(rest[0]).clone();
    let ttl = Duration::from_millis(1500);
    let kept = map.lease(ttl).await.unwrap();
    let left = map.grant_lease(ttl).await.unwrap();
    map.put_with("kept", "x", WriteOptions::new().lease(kept.id())).await.unwrap();
    map.put_with("left", "x", WriteOptions::new().lease(left)).await.unwrap();
    assert_eq!(map.lease_info(left, ReadOptions::new()).await.unwrap().keys, ["left"]);
    let begin = Instant::now();
    cluster.close(leader).await;
    eventually("the lease that nobody keeps alive ends", async || {
        map.get("left").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(begin.elapsed() + Duration::from_millis(200) >= ttl);
    assert_kind(map.lease_info(left, ReadOptions::new()).await, &[ErrorKind::Expired]);
    assert!(kept.is_alive());
    assert!(map.get("kept").await.unwrap().is_some());
    drop(kept);
    eventually("a lease ends once its handle is gone", async || {
        map.get("kept").await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_cannot_be_kept_alive_is_known_to_be_lost() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let long = cluster.map(leader).lease(Duration::from_secs(600)).await.unwrap();
    let lease = cluster.map(leader).lease(Duration::from_secs(3)).await.unwrap();
    cluster.isolate(&[leader]);
    lease.ended().await;
    assert!(!lease.is_alive() && long.is_alive());
    let next = cluster.leader_among(&rest).await;
    eventually("the others see it end", async || {
        let info = cluster.map(next).lease_info(lease.id(), ReadOptions::new()).await;
        info.is_err_and(|error| error.kind() == ErrorKind::Expired).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_leases_that_are_over_together_end_in_steps() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    let lease = map.grant_lease(Duration::from_secs(60)).await.unwrap();
    for batch in 0..5 {
        let ops = (0..500).map(|n| kvraft::Op::put(format!("{batch}/{n}"), "x").lease(lease));
        map.batch(ops).await.unwrap();
    }
    assert_eq!(map.lease_info(lease, ReadOptions::new()).await.unwrap().keys.len(), 2500);
    map.revoke_lease(lease).await.unwrap();
    assert_eq!(map.status().keys, 0);
    let short = Duration::from_millis(200);
    let ops = (0..1000).map(|n| kvraft::Op::put(n.to_string(), "x").ttl(short));
    map.batch(ops).await.unwrap();
    eventually("all are gone", async || (map.status().keys == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_revision_of_an_expiry_takes_more_than_1024_keys() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let map = cluster.map(cluster.others(leader)[0]);
    let lease = map.grant_lease(Duration::from_secs(2)).await.unwrap();
    for batch in 0..3 {
        let ops = (0..1000).map(|n| kvraft::Op::put(format!("{batch}/{n}"), "x").lease(lease));
        map.batch(ops).await.unwrap();
        map.keep_alive(lease).await.unwrap();
    }
    // From here on this member has applied all that was put.
    assert!(map.get("2/999").await.unwrap().is_some());
    let mut watch = map.watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
    let mut steps = Vec::new();
    let gone = async {
        while steps.iter().sum::<usize>() < 3000 {
            let event = watch.next().await.expect("a watch does not end").unwrap();
            let WatchEvent::Changes { changes, .. } = event else { panic!("{event:?}") };
            assert!(changes.iter().all(|change| change.entry.is_none()));
            steps.push(changes.len());
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, gone).await.expect("all keys go");
    assert!(steps.iter().all(|step| *step <= 1024), "{steps:?}");
}
