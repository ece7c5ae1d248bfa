//! One node alone.

use std::time::Duration;

use futures_util::TryStreamExt;
use kvraft::{Config, ErrorKind, KeyRange, ReplicatedMap, ScanOptions, WriteOptions};
use tempfile::TempDir;

use crate::harness::{PATIENCE, assert_kind, eventually};

async fn open(dir: &TempDir) -> ReplicatedMap {
    let map = ReplicatedMap::open(Config::new(dir.path())).await.expect("it opens");
    map.wait_ready(PATIENCE).await.expect("it is ready");
    map
}

#[tokio::test]
async fn a_single_node_works_without_network_and_keeps_its_data() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    let first = map.put("a", "1").await.unwrap();
    let second = map.put("a", "2").await.unwrap();
    assert!(second > first);
    assert!(map.status().members[0].address.is_empty());
    map.close().await.unwrap();
    let map = open(&dir).await;
    let entry = map.get_with("a", kvraft::ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!((entry.value.as_ref(), entry.revision, entry.created), (&b"2"[..], second, first));
    map.close().await.unwrap();
}

#[tokio::test]
async fn keys_and_values_out_of_bounds_are_refused_and_change_nothing() {
    let dir = TempDir::new().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path()).max_value_bytes(10)).await.unwrap();
    assert_kind(map.put("", "v").await, &[ErrorKind::InvalidArgument]);
    assert_kind(map.put([b'k'; 512], "v").await, &[ErrorKind::InvalidArgument]);
    assert_kind(map.put("k", [b'v'; 11]).await, &[ErrorKind::InvalidArgument]);
    assert_kind(map.get("").await, &[ErrorKind::InvalidArgument]);
    map.put([b'k'; 511], [b'v'; 10]).await.unwrap();
    assert_eq!(map.status().keys, 1);
    map.close().await.unwrap();
}

#[tokio::test]
async fn a_full_map_refuses_what_grows_and_recovers_by_deletes_without_a_restart() {
    let dir = TempDir::new().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path()).storage_limit_bytes(1000)).await.unwrap();
    map.put("a", [0; 600]).await.unwrap();
    assert_kind(map.put("b", [0; 600]).await, &[ErrorKind::Full]);
    assert!(map.get("a").await.unwrap().is_some());
    assert!(map.delete("a").await.unwrap());
    map.put("b", [0; 600]).await.unwrap();
    map.close().await.unwrap();
}

#[tokio::test]
async fn a_scan_sees_one_moment_in_order() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    for n in (0..600).rev() {
        map.put(format!("p/{n:03}"), "v").await.unwrap();
    }
    map.put("q", "v").await.unwrap();
    let scan = map.scan(KeyRange::prefix("p/"), ScanOptions::new()).await.unwrap();
    map.put("p/0005", "late").await.unwrap();
    map.delete("p/599").await.unwrap();
    let keys: Vec<_> = scan.map_ok(|entry| entry.key).try_collect().await.unwrap();
    assert_eq!(keys.len(), 600);
    assert!(keys.is_sorted());
    let reverse = map
        .scan(KeyRange::prefix("p/"), ScanOptions::new().reverse().limit(2).keys_only())
        .await
        .unwrap();
    let keys: Vec<_> = reverse.map_ok(|entry| entry.key).try_collect().await.unwrap();
    assert_eq!(keys, ["p/598", "p/597"]);
    map.close().await.unwrap();
}

#[tokio::test]
async fn a_scan_that_nobody_reads_on_does_not_hold_a_closed_map_up() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    let writes = (0..600).map(|n| map.put(format!("k{n:03}"), "v"));
    futures_util::future::try_join_all(writes).await.unwrap();
    let mut scan = map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap();
    assert_eq!(scan.try_next().await.unwrap().unwrap().key, "k000");
    map.close().await.unwrap();
    drop(map);
    let reopened = open(&dir).await;
    // What was read ahead is still given, then the scan says why it ends.
    let rest: Result<Vec<_>, _> = scan.try_collect().await;
    assert_kind(rest, &[ErrorKind::Closed]);
    reopened.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_is_told_at_once_however_often_raft_changes() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    let askers: Vec<_> = (0..4)
        .map(|_| {
            let map = map.clone();
            tokio::task::spawn_blocking(move || (0..2000).all(|_| map.status().is_leader()))
        })
        .collect();
    let writes = (0..400).map(|n| map.put(format!("k{n}"), "v"));
    futures_util::future::try_join_all(writes).await.unwrap();
    for asker in askers {
        assert!(tokio::time::timeout(PATIENCE, asker).await.expect("nobody hangs").unwrap());
    }
    map.close().await.unwrap();
}

#[tokio::test]
async fn a_closed_map_says_so_and_closing_twice_is_fine() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    let other = map.clone();
    map.close().await.unwrap();
    assert_kind(other.get("k").await, &[ErrorKind::Closed]);
    assert_kind(other.put("k", "v").await, &[ErrorKind::Closed]);
    other.close().await.unwrap();
}

#[tokio::test]
async fn two_maps_on_one_directory_are_refused_until_the_first_is_gone() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    assert_kind(ReplicatedMap::open(Config::new(dir.path())).await, &[ErrorKind::Refused]);
    map.close().await.unwrap();
    drop(map);
    open(&dir).await.close().await.unwrap();
}

#[tokio::test]
async fn a_directory_opened_under_another_name_is_refused() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir).await;
    map.close().await.unwrap();
    drop(map);
    assert_kind(
        ReplicatedMap::open(Config::new(dir.path()).name("other")).await,
        &[ErrorKind::Refused],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_map_keeps_its_types_and_names_what_is_of_another() {
    use futures_util::TryStreamExt as _;
    let dir = tempfile::tempdir().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path())).await.unwrap();
    let points: kvraft::TypedMap<(String, u8), Vec<f64>> = kvraft::TypedMap::new(map.clone());
    let (first, second) = (("a".to_owned(), 1), ("b".to_owned(), 2));
    points.put(&second, &vec![2.0]).await.unwrap();
    points.put(&first, &vec![0.5, -1.0]).await.unwrap();
    assert_eq!(points.get(&first).await.unwrap(), Some(vec![0.5, -1.0]));
    let all: Vec<_> = points.scan(ScanOptions::new()).await.unwrap().try_collect().await.unwrap();
    assert_eq!(all, [(first, vec![0.5, -1.0]), (second.clone(), vec![2.0])]);
    map.put(r#"["b",2]"#, "text").await.unwrap();
    let error = points.get(&second).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("Vec<f64>"), "{error}");
    assert!(points.delete(&second).await.unwrap());
    assert_eq!(points.get(&second).await.unwrap(), None);
}

#[tokio::test]
async fn a_single_node_stays_ready_though_nobody_confirms_it() {
    let dir = TempDir::new().unwrap();
    let config = Config::new(dir.path())
        .heartbeat_interval(Duration::from_millis(10))
        .election_timeout(Duration::from_millis(40));
    let map = ReplicatedMap::open(config).await.unwrap();
    map.wait_ready(PATIENCE).await.unwrap();
    // What ends by its time shows that several election timeouts have passed.
    map.put_with("k", "v", WriteOptions::new().ttl(Duration::from_millis(500))).await.unwrap();
    eventually("the key has ended", async || map.get("k").await.unwrap().is_none().then_some(()))
        .await;
    let status = map.status();
    assert!(status.ready && status.is_leader(), "{status:?}");
    map.wait_ready(Duration::from_millis(1)).await.unwrap();
}
