//! Clients: processes without a disk or a vote, to whom members answer.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use kvraft::{
    Bytes, Cmp, Compare, Config, Consistency, ErrorKind, Insecure, KeyRange, Op, ReadOptions,
    ReplicatedMap, Role, ScanOptions, Txn, WatchEvent, WatchOptions, WriteOptions,
};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};
use crate::watch::{Folded, entries};

const TTL: Duration = Duration::from_secs(2);

fn patient() -> WriteOptions {
    WriteOptions::new().timeout(PATIENCE)
}

fn long() -> ReadOptions {
    ReadOptions::new().timeout(PATIENCE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_one_follower_has_every_verb() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.others(cluster.leader().await)[0];
    let map = cluster.connect(&[follower]).await;
    let put = map.put_with("a/1", "x", WriteOptions::new().if_absent()).await.unwrap();
    assert_eq!(map.get("a/1").await.unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(map.get("none").await.unwrap(), None);
    let again = map.put_with("a/1", "y", WriteOptions::new().if_absent()).await;
    let error = again.unwrap_err();
    assert_eq!((error.kind(), error.revision()), (ErrorKind::Conflict, Some(put.revision)));
    assert_eq!(map.increment("n", 41).await.unwrap(), 41);
    assert_eq!(map.increment("n", 1).await.unwrap(), 42);
    let txn = Txn::new()
        .when(Compare::value("a/1", Cmp::Equal, "x"))
        .then(Op::put("a/2", "z"))
        .then(Op::get("n"));
    assert!(map.txn(txn).await.unwrap().succeeded);
    let range = || KeyRange::prefix("a/");
    assert_eq!(map.count(range(), ReadOptions::new()).await.unwrap(), 2);
    assert_eq!(map.count(KeyRange::all(), ReadOptions::new()).await.unwrap(), 3);
    let page = map.page(range(), ScanOptions::new().reverse().limit(1)).await.unwrap();
    assert_eq!((page.entries[0].key.as_ref(), page.more), (&b"a/2"[..], true));
    assert!(map.delete("a/1").await.unwrap());
    assert_eq!(map.delete_range(range(), WriteOptions::new()).await.unwrap().deleted, 1);
    let local = ReadOptions::new().consistency(Consistency::Local).min_revision(put.revision);
    let lease = ReadOptions::new().consistency(Consistency::Lease);
    assert!(map.get_with("n", local).await.unwrap().is_some());
    assert!(map.get_with("n", lease).await.unwrap().is_some());
    let status = map.status();
    assert_eq!((status.role, status.members.len(), status.ready), (Role::Client, 3, true));
    assert_eq!(status.leader, cluster.map(0).status().leader);
    map.close().await.unwrap();
    assert_kind(map.get("n").await, &[ErrorKind::Closed]);
    assert_kind(map.put("n", "").await, &[ErrorKind::Closed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_a_client_sees_one_moment_however_long_it_is() {
    let cluster = Cluster::start(1).await;
    let map = cluster.connect(&[0]).await;
    let keys: Vec<_> = (0..1000).map(|n| format!("k{n:04}")).collect();
    map.batch(keys.iter().map(|key| Op::put(key, "before"))).await.unwrap();
    let mut scan = map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap();
    let first = scan.try_next().await.unwrap().unwrap();
    map.delete_range(KeyRange::all(), WriteOptions::new()).await.unwrap();
    let rest: Vec<_> = scan.map_ok(|entry| entry.key).try_collect().await.unwrap();
    assert_eq!(first.key, keys[0]);
    assert_eq!(rest, keys[1..]);
    assert!(map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap().next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_whose_member_is_lost_says_so_and_does_not_go_on_at_another_moment() {
    let cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0]).await;
    map.batch((0..1000).map(|n| Op::put(format!("k{n:04}"), "x"))).await.unwrap();
    let mut scan = map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap();
    scan.try_next().await.unwrap().unwrap();
    for node in 0..3 {
        cluster.network.silence(cluster.address(node));
    }
    let mut rest = scan.collect::<Vec<_>>().await;
    assert_kind(rest.pop().unwrap(), &[ErrorKind::Unavailable]);
    assert!(rest.iter().all(Result::is_ok) && rest.len() < 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_goes_on_when_any_member_is_lost() {
    let mut cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    map.put("k", "0").await.unwrap();
    for lost in 0..3 {
        cluster.network.silence(cluster.address(lost));
        let value = lost.to_string();
        map.put_with("k", &value, patient()).await.unwrap();
        let read = map.get_with("k", long()).await.unwrap().unwrap();
        assert_eq!(read.value, value);
        cluster.network.heal();
        cluster.leader().await;
    }
    let leader = cluster.leader().await;
    cluster.close(leader).await;
    map.put_with("k", "after a close", patient()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_leaves_a_leader_that_is_cut_off_from_its_followers() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let map = cluster.connect(&[leader]).await;
    map.put("k", "old").await.unwrap();
    let mut watch = map.watch(KeyRange::key("k"), WatchOptions::new()).await.unwrap();
    // The client reaches it all the time, and no packet between the two tells of its fall.
    cluster.isolate(&[leader]);
    map.put_with("k", "new", patient()).await.unwrap();
    assert_eq!(map.get_with("k", long()).await.unwrap().unwrap().value, "new");
    let told = tokio::time::timeout(PATIENCE, watch.try_next()).await.unwrap().unwrap();
    assert!(matches!(told, Some(WatchEvent::Changes { .. })), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_client_adds_up_to_the_map_though_its_members_go() {
    let mut cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    map.put("before", "not told").await.unwrap();
    let mut watch = map.watch(KeyRange::prefix("k"), WatchOptions::new()).await.unwrap();
    let mut folded = Folded::default();
    for lost in 0..3 {
        for n in 0..40 {
            let key = format!("k{}", n % 7);
            if n % 5 == 4 {
                map.delete_with(key, patient()).await.unwrap();
            } else {
                map.put_with(key, format!("{lost}/{n}"), patient()).await.unwrap();
            }
        }
        let end = format!("k-end{lost}");
        map.put_with(&end, "", patient()).await.unwrap();
        folded.follow(&mut watch, &end).await;
        cluster.close(lost).await;
        cluster.open(lost).await;
        cluster.wait_all_ready().await;
    }
    let mut expected = entries(&map).await;
    expected.remove("before".as_bytes());
    assert_eq!(folded.map, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_client_tells_the_past_and_resyncs() {
    let cluster = Cluster::start(1).await;
    let map = cluster.connect(&[0]).await;
    let from = map.put("a", "1").await.unwrap();
    map.delete("a").await.unwrap();
    let options = WatchOptions::new().from(from).previous();
    let mut watch = map.watch(KeyRange::all(), options).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let Some(WatchEvent::Changes { changes, .. }) = watch.try_next().await.unwrap() else {
            panic!("changes come first");
        };
        told.extend(changes);
    }
    assert_eq!(told[0].entry.as_ref().unwrap().value, "1");
    assert_eq!(told[1].previous.as_ref().unwrap().value, "1");
    let error = map.watch(KeyRange::all(), WatchOptions::new().from(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(error.revision().is_some());
    map.put("b", "2").await.unwrap();
    let mut whole = map.watch(KeyRange::all(), WatchOptions::new().resync()).await.unwrap();
    map.put("c", "3").await.unwrap();
    let mut folded = Folded::default();
    folded.follow(&mut whole, "c").await;
    assert_eq!((folded.map.len(), folded.snapshots), (2, 1));
    map.close().await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, whole.next()).await.unwrap().unwrap();
    assert_kind(ended, &[ErrorKind::Closed]);
    assert!(whole.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_take_turns_at_a_lock_while_the_members_that_they_wait_at_are_lost() {
    let cluster = Cluster::start(3).await;
    let (one, two) = (cluster.connect(&[0]).await, cluster.connect(&[1]).await);
    let first = one.lock("l", TTL).await.unwrap();
    assert!(two.try_lock("l", TTL).await.unwrap().is_none());
    let token = first.token();
    let waiting = tokio::spawn({
        let two = two.clone();
        async move { two.lock_within("l", Duration::from_secs(10), PATIENCE).await }
    });
    let base = cluster.map(0).status().revision;
    eventually("the second waits", async || {
        (cluster.map(0).status().revision > base).then_some(())
    })
    .await;
    let lost = cluster.others(cluster.leader().await)[0];
    cluster.network.silence(cluster.address(lost));
    first.unlock().await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert!(second.token() > token && second.is_held());
    cluster.network.heal();
    drop(second);
    let third = one.lock_within("l", TTL, PATIENCE).await.unwrap();
    assert!(third.token() > token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_a_lock_ends_in_time_though_its_member_became_another() {
    let mut cluster = Cluster::start(1).await;
    let held = cluster.map(0).grant_lease(Duration::from_secs(60)).await.unwrap();
    cluster.map(0).acquire("l", held, Duration::ZERO).await.unwrap();
    let client = cluster.connect(&[0]).await;
    let lease = client.grant_lease(Duration::from_secs(60)).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.acquire("l", lease, Duration::from_secs(5)).await }
    });
    eventually("it waits", async || {
        (cluster.map(0).metrics().unwrap().held.locks_waiting == 1).then_some(())
    })
    .await;
    cluster.close(0).await;
    std::fs::remove_dir_all(cluster.path(0)).unwrap();
    cluster.open(0).await.wait_ready(PATIENCE).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, waiting).await.expect("it ends").unwrap();
    assert_kind(ended, &[ErrorKind::Unavailable]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_what_is_gone_does_not_wait_for_a_member_that_is_down() {
    let mut cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    map.put("k", "v").await.unwrap();
    let down = cluster.others(cluster.leader().await)[0];
    cluster.close(down).await;
    let gone = WatchOptions::new().from(0);
    assert_kind(map.watch(KeyRange::all(), gone).await, &[ErrorKind::Compacted]);
    let mut watch = map.watch(KeyRange::all(), gone.resync()).await.unwrap();
    let mut folded = Folded::default();
    folded.follow(&mut watch, "k").await;
    assert_eq!(folded.snapshots, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_closed_ends_what_it_has_under_way_as_closed() {
    let cluster = Cluster::start(1).await;
    let map = cluster.connect(&[0]).await;
    map.batch((0..1000).map(|n| Op::put(format!("k{n:04}"), "x"))).await.unwrap();
    let mut begun = map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap();
    begun.try_next().await.unwrap().unwrap();
    cluster.network.silence(cluster.address(0));
    let started = std::time::Instant::now();
    let (scan, watch, read, closed) = tokio::join!(
        map.scan(KeyRange::all(), ScanOptions::new().read(long())),
        map.watch(KeyRange::all(), WatchOptions::new()),
        map.get_with("k", long()),
        map.close(),
    );
    closed.unwrap();
    assert_kind(scan.map(drop), &[ErrorKind::Closed]);
    assert_kind(watch, &[ErrorKind::Closed]);
    assert_kind(read, &[ErrorKind::Closed]);
    let mut rest = begun.collect::<Vec<_>>().await;
    assert_kind(rest.pop().unwrap(), &[ErrorKind::Closed]);
    assert!(started.elapsed() < PATIENCE / 2, "nothing waits on for a closed client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_a_client_goes_on_elsewhere_when_its_member_got_a_snapshot_instead() {
    let cluster = Cluster::start_with(3, |_, config| config.log_keep_bytes(64 << 10)).await;
    let leader = cluster.leader().await;
    let map = cluster.map(leader);
    // Clients begin anywhere: this one is to follow a follower.
    let (client, mut watch, away) = loop {
        let client = cluster.connect(&[0, 1, 2]).await;
        let watch = client.watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
        let follows = |node: &usize| cluster.map(*node).metrics().unwrap().watches.watchers == 1;
        if let Some(away) = cluster.others(leader).into_iter().find(follows) {
            break (client, watch, away);
        }
        drop(watch);
        client.close().await.unwrap();
    };
    cluster.isolate(&[away]);
    let last = map.status().last_log;
    let value = vec![b'v'; 16 << 10];
    let mut expected = 0;
    eventually("the log is purged beyond what the other has", async || {
        expected = map.put("large", &value).await.unwrap();
        (map.status().first_log > last + 1).then_some(())
    })
    .await;
    map.put("end", "").await.unwrap();
    cluster.network.heal();
    cluster.wait_local(away, "end", "").await;
    let mut folded = Folded::default();
    folded.follow(&mut watch, "end").await;
    assert!(folded.map == entries(map).await && folded.snapshots == 0, "it adds up");
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_resyncs_begins_again_when_the_member_is_lost_in_the_midst_of_it() {
    let mut cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    let value = vec![b'x'; 1 << 20];
    for n in 0..5 {
        map.put(format!("k{n}"), &value).await.unwrap();
    }
    map.put("end", "").await.unwrap();
    let mut watch = map.watch(KeyRange::all(), WatchOptions::new().resync()).await.unwrap();
    let mut folded = Folded::default();
    for _ in 0..2 {
        folded.take(watch.try_next().await.unwrap().unwrap());
    }
    // Whichever it is that has the moment of the snapshot, each goes and comes back.
    for node in 0..3 {
        cluster.close(node).await;
        cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    }
    folded.follow(&mut watch, "end").await;
    assert!(folded.snapshots > 1, "the first was cut short");
    assert!(folded.map == entries(&map).await, "it adds up");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_leases_lives_as_long_as_the_client() {
    let cluster = Cluster::start(3).await;
    let client = cluster.connect(&[0, 1]).await;
    let lease = client.lease(Duration::from_secs(3)).await.unwrap();
    let option = WriteOptions::new().lease(lease.id());
    client.put_with("worker", "busy", option).await.unwrap();
    let info = client.lease_info(lease.id(), ReadOptions::new()).await.unwrap();
    assert_eq!(info.keys, ["worker"]);
    // It outlives its time to live, since it is kept alive.
    let kept = client.put_with("other", "", WriteOptions::new().ttl(Duration::from_secs(6))).await;
    kept.unwrap();
    let gone = async |key| cluster.map(2).get(key).await.unwrap().is_none().then_some(());
    eventually("another key has ended", async || gone("other").await).await;
    assert!(lease.is_alive());
    assert_eq!(client.get("worker").await.unwrap().as_deref(), Some(&b"busy"[..]));
    let id = lease.id();
    drop((lease, client));
    eventually("the key has ended with its client", async || gone("worker").await).await;
    assert_kind(cluster.map(2).keep_alive(id).await, &[ErrorKind::Expired]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reaches_nobody_says_why_in_time() {
    let cluster = Cluster::start(1).await;
    let short = |config: kvraft::ClientConfig| config.request_timeout(Duration::from_secs(1));
    let secret = cluster.client_config(&[0]).insecure(Insecure::No).cluster_secret([7; 32]);
    let error = ReplicatedMap::connect(short(secret)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    let address = cluster.address(0);
    cluster.network.silence(address);
    let error = ReplicatedMap::connect(short(cluster.client_config(&[0]))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains(&address.to_string()), "{error}");
    let none = kvraft::ClientConfig::new(Vec::<String>::new()).insecure(Insecure::Loopback);
    assert_kind(ReplicatedMap::connect(none).await, &[ErrorKind::InvalidArgument]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stays_with_the_cluster_that_it_reached_first() {
    let (one, mut other) = (Cluster::start(1).await, Cluster::start(1).await);
    let endpoints = [one.address(0).to_string(), other.address(0).to_string()];
    let config = kvraft::ClientConfig::new(endpoints).insecure(Insecure::Loopback);
    let map = ReplicatedMap::connect(config.request_timeout(PATIENCE)).await.unwrap();
    map.put("k", "v").await.unwrap();
    let place = map.status().cluster_id;
    let (here, there) = (one.map(0), other.map(0));
    let reached = if here.status().cluster_id == place { here } else { there };
    for _ in 0..20 {
        assert_eq!(map.get("k").await.unwrap(), Some(Bytes::from_static(b"v")));
    }
    assert_eq!(reached.get("k").await.unwrap(), Some(Bytes::from_static(b"v")));
    other.close(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_cluster_without_a_majority_still_reads_what_its_last_member_has() {
    let mut cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    map.put("k", "old").await.unwrap();
    let leader = cluster.leader().await;
    for node in cluster.others(leader) {
        cluster.close(node).await;
    }
    let short = ReadOptions::new().timeout(Duration::from_millis(500));
    assert_kind(map.get_with("k", short).await, &[ErrorKind::Unavailable]);
    let local = long().consistency(Consistency::Local);
    assert_eq!(map.get_with("k", local).await.unwrap().unwrap().value, "old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_value_is_taken_and_a_too_large_one_refused_by_name() {
    let adjust = |_, config: Config| config.max_value_bytes(6 << 20);
    let cluster = Cluster::start_with(1, adjust).await;
    let map = cluster.connect(&[0]).await;
    let value = vec![b'x'; 6 << 20];
    map.put("k", &value).await.unwrap();
    assert_eq!(map.get("k").await.unwrap().unwrap(), value);
    let error = map.put("k", vec![b'x'; (6 << 20) + 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("max_value_bytes"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_frame_can_carry_is_refused_as_that_and_at_once() {
    let cluster = Cluster::start(3).await;
    let follower = cluster.others(cluster.leader().await)[0];
    let client = cluster.connect(&[follower]).await;
    let value = Bytes::from(vec![b'x'; 4 << 20]);
    for map in [&client, cluster.map(follower)] {
        let batch = map.batch((0..21).map(|n| Op::put(format!("k{n}"), &value))).await;
        assert_kind(batch, &[ErrorKind::InvalidArgument]);
    }
    let range = KeyRange::prefix(vec![b'x'; 70_000]);
    assert_kind(client.page(range, ScanOptions::new()).await, &[ErrorKind::InvalidArgument]);
}

#[test]
fn a_client_works_without_async_and_from_any_executor() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::start(1));
    let map = kvraft::blocking::ReplicatedMap::connect(cluster.client_config(&[0])).unwrap();
    map.put("k", "v").unwrap();
    assert_eq!(map.get("k").unwrap().as_deref(), Some(&b"v"[..]));
    let entries: Vec<_> = map.scan(KeyRange::all(), ScanOptions::new()).unwrap().collect();
    assert_eq!(entries.len(), 1);
    map.close().unwrap();
}
