//! A backup of the first version, which every later one has to read.

use std::path::Path;
use std::time::Duration;

use kvraft::{Config, ErrorKind, ReadOptions, ReplicatedMap, RestoreOptions, WriteOptions};

use crate::harness::assert_kind;
use crate::support::entries;

#[tokio::test(flavor = "multi_thread")]
async fn the_backup_of_the_first_version_is_restored_whole() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/backup-1");
    let verified = kvraft::verify_backup(&file).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    let dir = tempfile::tempdir().unwrap();
    let restored = kvraft::restore(&RestoreOptions::new(&file, dir.path(), "n1")).unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path()).name("n1")).await.unwrap();
    let found = entries(&map, ReadOptions::new()).await;
    let keys: Vec<_> = found.keys().map(|key| String::from_utf8_lossy(key)).collect();
    assert_eq!(keys, ["fruit/apple", "fruit/pear", "leased", "once"]);
    assert_eq!(found[&b"fruit/apple"[..]].value, "red");
    assert_eq!(found[&b"fruit/pear"[..]].value, vec![0, 159, 146, 150, 255]);
    assert!(found.values().all(|entry| entry.revision <= restored.backup.revision));
    // The lock is held, the request is known.
    assert!(map.try_lock("a-lock", Duration::from_secs(5)).await.unwrap().is_none());
    let again = |value| map.put_with("once", value, WriteOptions::new().request_id("r-1"));
    assert!(again("1").await.unwrap().revision <= restored.backup.revision);
    assert_kind(again("2").await, &[ErrorKind::InvalidArgument]);
    assert!(map.put("k", "v").await.unwrap() >= restored.next_revision);
}

/// How the file was made; a later version makes one of its own beside it.
async fn make() {
    let dir = tempfile::tempdir().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path().join("old"))).await.unwrap();
    map.put("fruit/apple", "green").await.unwrap();
    map.put("fruit/apple", "red").await.unwrap();
    map.put("fruit/pear", vec![0, 159, 146, 150, 255]).await.unwrap();
    map.put("gone", "x").await.unwrap();
    map.delete("gone").await.unwrap();
    let lease = map.grant_lease(Duration::from_secs(360 * 24 * 3600)).await.unwrap();
    map.put_with("leased", "x", WriteOptions::new().lease(lease)).await.unwrap();
    map.acquire("a-lock", lease, Duration::from_secs(5)).await.unwrap();
    map.put_with("once", "1", WriteOptions::new().request_id("r-1")).await.unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/backup-1");
    crate::support::keep(map.backup().await.unwrap(), &file).await;
}
