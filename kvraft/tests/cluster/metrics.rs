//! What a node counts is what was done.

use std::time::Duration;

use futures_util::StreamExt as _;
use kvraft::{ErrorKind, KeyRange, WatchOptions, WriteOptions};

use crate::harness::{Cluster, assert_kind, eventually};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_holds_and_has_done_is_counted_on_every_node() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let (map, follower) = (cluster.map(leader), cluster.map((leader + 1) % 3));
    let before = map.metrics().unwrap();
    map.put("a", "12345").await.unwrap();
    map.put_with("b", "1", WriteOptions::new().request_id("r")).await.unwrap();
    map.put_with("short", "1", WriteOptions::new().ttl(Duration::from_millis(100))).await.unwrap();
    let held = map.lock("l", MINUTE).await.unwrap();
    let lease = follower.grant_lease(MINUTE).await.unwrap();
    let waiting = {
        let map = follower.clone();
        tokio::spawn(async move { map.acquire("l", lease, MINUTE).await })
    };
    for map in [map, follower] {
        eventually("all is applied", async || {
            let metrics = map.metrics().unwrap();
            let now = metrics.held;
            let all = (now.keys, now.key_bytes, now.leases, now.locks_held, now.locks_waiting);
            (all == (2, 8, 2, 1, 1) && metrics.leases_expired == 1).then_some(())
        })
        .await;
        let now = map.metrics().unwrap().held;
        assert!((1..=3).contains(&now.sessions), "{now:?}");
        assert!(now.request_ids == 1 && now.request_bytes > 0, "{now:?}");
    }
    let now = map.metrics().unwrap();
    let accepted = now.proposals.accepted - before.proposals.accepted;
    assert!((7..100).contains(&accepted), "{accepted}");
    let (flushes, checkpoints) = (now.log_flush_time, now.checkpoint_time);
    assert_eq!((flushes.count, checkpoints.count), (now.log_flushes, now.checkpoints));
    assert!(flushes.total_micros > 0 && flushes.within[15] <= flushes.count, "{flushes:?}");
    assert!(now.disk_bytes > 16 << 20, "what is kept for a full disk counts: {}", now.disk_bytes);
    assert!((1..10).contains(&now.leader_changes), "{}", now.leader_changes);
    let links: Vec<_> = map.status().members.iter().map(|member| member.link).collect();
    let open = links.iter().flatten();
    let heard = open.filter(|link| link.packets_sent > 0 && link.round_trip_micros > 0);
    assert_eq!(heard.count(), 2, "to both others: {links:?}");
    assert_eq!(now.proposals.overloaded, 0);
    held.unlock().await.unwrap();
    waiting.await.unwrap().unwrap();
    let before = follower.metrics().unwrap().reads;
    follower.get("a").await.unwrap();
    let after = follower.metrics().unwrap().reads;
    assert!(after.barriers > before.barriers && after.rounds > before.rounds, "{after:?}");
}

#[tokio::test]
async fn watches_and_the_history_that_they_read_are_counted() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    let before = map.metrics().unwrap().watches;
    assert_eq!((before.watchers, before.compacted), (0, 0));
    let mut watch = map.watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
    map.put("a", "12345").await.unwrap();
    watch.next().await.unwrap().unwrap();
    let too_old = WatchOptions::new().from(before.oldest_revision - 1);
    assert_kind(map.watch(KeyRange::all(), too_old).await, &[ErrorKind::Compacted]);
    map.watch(KeyRange::all(), WatchOptions::new().from(before.oldest_revision)).await.unwrap();
    let now = map.metrics().unwrap().watches;
    assert_eq!((now.watchers, now.compacted), (1, 1), "the second one is dropped");
    assert_eq!(now.history_revisions, before.history_revisions + 1);
    assert!(now.history_bytes > before.history_bytes + 5);
}
