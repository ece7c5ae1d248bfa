//! Locks: one holder at a time, in turn, with tokens that only grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kvraft::ErrorKind;

use crate::harness::{Cluster, assert_kind, eventually};

const TTL: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_has_one_holder_at_a_time_and_its_tokens_grow() {
    let cluster = Arc::new(Cluster::start(3).await);
    let (largest, inside) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let workers: Vec<_> = (0..6)
        .map(|n| {
            let (cluster, largest, inside) = (cluster.clone(), largest.clone(), inside.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let wait = Duration::from_secs(30);
                    let lock = cluster.map(n % 3).lock_within("l", TTL, wait).await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two are inside");
                    let before = largest.swap(lock.token(), Ordering::SeqCst);
                    assert!(lock.token() > before);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    lock.unlock().await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_came_first_gets_the_lock_first() {
    let cluster = Cluster::start(3).await;
    let holder = cluster.map(0).lock("l", TTL).await.unwrap();
    let mut waiting = Vec::new();
    for n in 1..4_usize {
        let map = cluster.map(n % 3).clone();
        let lease = map.grant_lease(Duration::from_secs(30)).await.unwrap();
        // Zero does not wait: it says that the lock is held, and takes no place.
        assert_kind(map.acquire("l", lease, Duration::ZERO).await, &[ErrorKind::Refused]);
        let revision = map.status().revision;
        let taking = {
            let map = map.clone();
            tokio::spawn(async move { map.acquire("l", lease, Duration::from_secs(30)).await })
        };
        eventually("its place is taken", async || (map.status().revision > revision).then_some(()))
            .await;
        waiting.push((map, lease, taking));
    }
    let mut last = holder.token();
    holder.unlock().await.unwrap();
    for (map, lease, taking) in waiting {
        let token = taking.await.unwrap().unwrap();
        assert!(token > last);
        last = token;
        map.release("l", lease).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_free_again_when_its_guard_is_dropped_or_its_holder_is_cut_off() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let map = cluster.map(rest[0]);
    drop(map.lock("l", TTL).await.unwrap());
    let short = Duration::from_millis(500);
    let lost = cluster.map(leader).lock("l", short).await.unwrap();
    assert!(map.try_lock("l", TTL).await.unwrap().is_none());
    cluster.isolate(&[leader]);
    cluster.leader_among(&rest).await;
    let wait = Duration::from_secs(20);
    let next = map.lock_within("l", TTL, wait).await.unwrap();
    assert!(next.token() > lost.token());
    lost.lost().await;
    assert!(!lost.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_up_waiting_leaves_no_place_behind() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    let holder = map.lock("l", TTL).await.unwrap();
    let patience = Duration::from_millis(50);
    assert_kind(map.lock_within("l", TTL, patience).await, &[ErrorKind::Refused]);
    let dropped = tokio::time::timeout(patience, map.lock("l", TTL)).await;
    assert!(dropped.is_err());
    holder.unlock().await.unwrap();
    let next = map.lock_within("l", TTL, Duration::from_secs(20)).await.unwrap();
    assert!(next.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_to_give_up_leaves_the_queue_at_once() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0).clone();
    let held = map.lock("l", TTL).await.unwrap();
    let lease = map.grant_lease(Duration::from_secs(30)).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let waiting = {
        let map = map.clone();
        let stopped = async { drop(stopped.await) };
        let wait = Duration::from_secs(30);
        tokio::spawn(async move { map.acquire_unless("l", lease, wait, stopped).await })
    };
    eventually("it waits", async || (map.metrics().unwrap().held.locks_waiting == 1).then_some(()))
        .await;
    drop(stop);
    assert_kind(waiting.await.unwrap(), &[ErrorKind::Unavailable]);
    assert_eq!(map.metrics().unwrap().held.locks_waiting, 0);
    // A lock that is free is taken all the same: there is nothing to wait for.
    held.unlock().await.unwrap();
    map.acquire_unless("l", lease, Duration::from_secs(30), std::future::pending()).await.unwrap();
}
