//! Conditions, transactions, ranges, counters and request ids, through any member.

use std::time::Duration;

use kvraft::{
    Cmp, Compare, ErrorKind, KeyRange, Op, OpResult, ReadOptions, ReplicatedMap, ScanOptions, Txn,
    WriteOptions,
};

use crate::harness::{Cluster, assert_kind, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_condition_does_not_hold_is_a_conflict_with_the_current_revision() {
    let cluster = Cluster::start(3).await;
    let map = cluster.map(cluster.others(cluster.leader().await)[0]);
    let first = map.put_with("k", "1", WriteOptions::new().if_absent()).await.unwrap();
    let stale = WriteOptions::new().if_revision(first.revision - 1);
    let error = map.put_with("k", "2", stale.clone()).await.unwrap_err();
    assert_eq!((error.kind(), error.revision()), (ErrorKind::Conflict, Some(first.revision)));
    let error = map.delete_with("k", stale).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = map.put_with("none", "2", WriteOptions::new().if_present()).await.unwrap_err();
    assert_eq!((error.kind(), error.revision()), (ErrorKind::Conflict, Some(0)));
    let swap = WriteOptions::new().if_value("1").want_previous();
    let swapped = map.put_with("k", "2", swap).await.unwrap();
    assert_eq!(swapped.previous.unwrap().revision, first.revision);
    let entry = map.get_with("k", ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.created), (swapped.revision, first.revision));
    let gone = map.delete_with("k", WriteOptions::new().want_previous()).await.unwrap();
    assert_eq!(gone.previous.unwrap().value, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_applied_at_once_or_not_at_all() {
    let cluster = Cluster::start(3).await;
    let map = cluster.map(cluster.others(cluster.leader().await)[0]);
    map.put("a", "10").await.unwrap();
    let transfer = Txn::new()
        .when(Compare::value("a", Cmp::Equal, "10"))
        .then(Op::increment("a", -7))
        .then(Op::increment("b", 7))
        .then(Op::get("c"))
        .or_else(Op::get("a"));
    let done = map.txn(transfer.clone()).await.unwrap();
    assert!(done.succeeded);
    let expected = [OpResult::Incremented(3), OpResult::Incremented(7), OpResult::Got(None)];
    assert_eq!(done.results, expected);
    let again = map.txn(transfer).await.unwrap();
    assert!(!again.succeeded);
    assert!(matches!(&again.results[..], [OpResult::Got(Some(entry))] if entry.value == "3"));
    map.put("text", "x").await.unwrap();
    let broken = Txn::new().then(Op::put("a", "0")).then(Op::increment("text", 1));
    assert_kind(map.txn(broken).await, &[ErrorKind::InvalidArgument]);
    assert_eq!(map.get("a").await.unwrap().unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_writes_are_refused_by_name_and_change_nothing() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    map.put("big", i64::MAX.to_string()).await.unwrap();
    let revision = map.status().revision;
    let invalid = [ErrorKind::InvalidArgument];
    assert_kind(map.increment("big", 1).await, &invalid);
    let twice = Txn::new().then(Op::get("k")).then(Op::put("k", "v"));
    assert_kind(map.txn(twice).await, &invalid);
    let many = (0..1025).fold(Txn::new(), |txn, n| txn.then(Op::get(n.to_string())));
    assert_kind(map.txn(many).await, &invalid);
    assert_kind(map.batch([Op::put("", "v")]).await, &invalid);
    for ttl in [Duration::ZERO, Duration::from_millis(99), Duration::MAX] {
        assert_kind(map.put_with("k", "v", WriteOptions::new().ttl(ttl)).await, &invalid);
        assert_kind(map.grant_lease(ttl).await, &invalid);
    }
    let named = WriteOptions::new().request_id("");
    assert_kind(map.put_with("k", "v", named).await, &invalid);
    let lease = "00000000000000ff".parse().unwrap();
    let leased = WriteOptions::new().lease(lease);
    assert_kind(map.put_with("k", "v", leased.clone()).await, &[ErrorKind::Expired]);
    assert_kind(map.delete_with("k", leased).await, &invalid);
    assert_kind(map.keep_alive(lease).await, &[ErrorKind::Expired]);
    assert_kind(map.revoke_lease(lease).await, &[ErrorKind::Expired]);
    assert_kind(map.lock("", Duration::from_secs(1)).await, &invalid);
    assert_kind(map.release("l", lease).await, &[ErrorKind::Expired]);
    assert_eq!(map.get("k").await.unwrap(), None);
    assert!(map.status().revision >= revision && map.status().keys == 1);
    let lease = map.grant_lease(Duration::from_secs(10)).await.unwrap();
    let both = WriteOptions::new().ttl(Duration::from_secs(1)).lease(lease);
    assert_kind(map.put_with("both", "v", both).await, &[ErrorKind::InvalidArgument]);
    let none = WriteOptions::new().timeout(Duration::ZERO);
    assert_kind(map.put_with("both", "v", none).await, &[ErrorKind::Unavailable]);
    assert_eq!(map.get("both").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_deleted_and_counted_without_its_values() {
    let cluster = Cluster::start(3).await;
    let map = cluster.map(0);
    for n in 0..30 {
        map.put(format!("{}/{n}", if n % 3 == 0 { "a" } else { "b" }), "x").await.unwrap();
    }
    let b = || KeyRange::prefix("b/");
    assert_eq!(map.count(b(), ReadOptions::new()).await.unwrap(), 20);
    let gone = map.delete_range(b(), WriteOptions::new()).await.unwrap();
    assert_eq!(gone.deleted, 20);
    map.put("b/new", "y").await.unwrap();
    for node in 0..3 {
        let page = cluster.map(node).page(b(), ScanOptions::new()).await.unwrap();
        assert_eq!(page.entries.len(), 1, "on n{node}");
        let all = cluster.map(node).count(KeyRange::all(), ReadOptions::new()).await.unwrap();
        assert_eq!(all, 11);
    }
}

/// What a client does that only knows the id of its request: it asks one member after the other.
async fn increment_once(maps: &[ReplicatedMap], id: &str) {
    let options = WriteOptions::new().request_id(id).timeout(Duration::from_millis(700));
    for map in maps.iter().cycle().take(200) {
        match map.increment_with("counter", 1, options.clone()).await {
            Ok(_) => return,
            Err(error) => {
                let kinds =
                    [ErrorKind::Unavailable, ErrorKind::Indeterminate, ErrorKind::Overloaded];
                assert!(kinds.contains(&error.kind()), "{error}");
            }
        }
    }
    panic!("request {id} is not answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_increments_with_request_ids_count_their_ids_whatever_happens_to_leaders() {
    const CLIENTS: usize = 8;
    const EACH: usize = 1250;
    let cluster = std::sync::Arc::new(
        Cluster::start_with(3, |_, config| config.log_keep_bytes(64 << 10)).await,
    );
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let maps: Vec<_> = (0..3).map(|n| cluster.map((client + n) % 3).clone()).collect();
            tokio::spawn(async move {
                for ids in (0..EACH).collect::<Vec<_>>().chunks(5) {
                    let asked = ids.iter().map(|n| {
                        let (maps, id) = (&maps, format!("{client}/{n}"));
                        async move {
                            increment_once(maps, &id).await;
                            if n % 10 == 0 {
                                // One who is not sure asks again, even long after the answer.
                                increment_once(&maps[1..], &id).await;
                            }
                        }
                    });
                    futures_util::future::join_all(asked).await;
                }
            })
        })
        .collect();
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let revision = cluster.map(leader).status().revision;
        cluster.isolate(&[leader]);
        cluster.leader_among(&cluster.others(leader)).await;
        cluster.network.heal();
        eventually("the cluster goes on", async || {
            let leader = cluster.leader().await;
            let done = clients.iter().all(tokio::task::JoinHandle::is_finished);
            (done || cluster.map(leader).status().revision > revision + 1000).then_some(())
        })
        .await;
    }
    for client in clients {
        client.await.unwrap();
    }
    for node in 0..3 {
        let counted = cluster.map(node).get("counter").await.unwrap().unwrap();
        assert_eq!(counted, (CLIENTS * EACH).to_string(), "on n{node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_gives_its_first_answer_again_and_is_no_other_requests() {
    let cluster = Cluster::start(3).await;
    let once = WriteOptions::new().request_id("r1");
    let first = cluster.map(0).put_with("k", "1", once.clone()).await.unwrap();
    let again = cluster.map(1).put_with("k", "1", once.clone()).await.unwrap();
    assert_eq!(first, again);
    let other = cluster.map(2).put_with("k", "2", once.clone()).await;
    assert_kind(other, &[ErrorKind::InvalidArgument]);
    // Another's request of the same name is another request.
    let put = cluster.map(2).put_with("k", "2", once.principal("someone")).await.unwrap();
    assert!(put.replaced && put.revision > first.revision);
}
