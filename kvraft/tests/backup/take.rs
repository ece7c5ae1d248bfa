//! Taking a backup of nodes that work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use kvraft::{
    Bytes, Config, Consistency, ErrorKind, ReadOptions, ReplicatedMap, RestoreOptions, WriteOptions,
};

use crate::harness::{Cluster, assert_kind, eventually};
use crate::support::{entries, keep, restored, taken};

/// Puts the same few keys again and again; returns what it wrote, each with its revision.
async fn write(map: ReplicatedMap, who: u32, stop: Arc<AtomicBool>) -> Vec<(String, u64, u64)> {
    let mut written = Vec::new();
    for n in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("w{who}/{}", n % 7);
        let value = format!("{n:0>1000}");
        let revision = map.put(&key, value).await.unwrap();
        written.push((key, n, revision));
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_the_map_as_it_was_at_its_revision() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let follower = cluster.others(leader)[0];
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|who| tokio::spawn(write(cluster.map(leader).clone(), who, Arc::clone(&stop))))
        .collect();
    for n in 0..200 {
        cluster.map(leader).put(format!("still/{n:04}"), vec![7; 10_000]).await.unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    let backup = cluster.map(follower).backup().await.unwrap();
    let info = backup.info().clone();
    keep(backup, &file).await;
    eventually("writes go on after the backup", async || {
        (cluster.map(leader).status().revision > info.revision + 8).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let mut last = std::collections::BTreeMap::new();
    let mut after = 0;
    for writer in writers {
        for (key, n, revision) in writer.await.unwrap() {
            if revision <= info.revision {
                last.insert(key, (n, revision));
            } else {
                after += 1;
            }
        }
    }
    assert!(after > 0, "writes went on");

    let new = restored(&file, dir.path(), "n0").await;
    let found = entries(&new, ReadOptions::new()).await;
    assert_eq!(found.len() as u64, info.entries);
    assert_eq!(found.len(), 200 + last.len());
    for (key, (n, revision)) in last {
        let entry = &found[key.as_bytes()];
        assert_eq!(
            (entry.value.as_ref(), entry.revision),
            (format!("{n:0>1000}").as_bytes(), revision)
        );
    }
    new.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_shows_one_moment_however_slowly_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path().join("old"))).await.unwrap();
    for n in 0..40 {
        map.put(format!("k{n:02}"), vec![n; 100_000]).await.unwrap();
    }
    let before = entries(&map, ReadOptions::new()).await;
    let mut backup = map.backup().await.unwrap();
    let mut chunks = vec![backup.next().await.unwrap().unwrap()];
    chunks.push(backup.next().await.unwrap().unwrap());
    map.delete_range(kvraft::KeyRange::all(), WriteOptions::new()).await.unwrap();
    map.put("k05", "later").await.unwrap();
    chunks.extend(backup.try_collect::<Vec<Bytes>>().await.unwrap());
    let file = dir.path().join("kept");
    std::fs::write(&file, chunks.concat()).unwrap();
    let new = restored(&file, dir.path(), "n").await;
    assert_eq!(entries(&new, ReadOptions::new()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_backup_at_a_time_is_told_to_come_back() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    map.put("k", "v").await.unwrap();
    let (first, _second) = (map.backup().await.unwrap(), map.backup().await.unwrap());
    assert_kind(map.backup().await, &[ErrorKind::Overloaded]);
    drop(first);
    map.backup().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_takes_a_backup_of_the_whole_map() {
    let cluster = Cluster::start(3).await;
    let value = vec![7; 3 << 20];
    for key in ["a", "b"] {
        cluster.map(0).put(key, value.clone()).await.unwrap();
    }
    let client = cluster.connect(&[0, 1]).await;
    let backup = client.backup().await.unwrap();
    assert_eq!(backup.info().entries, 2);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    keep(backup, &file).await;
    let new = restored(&file, dir.path(), "n").await;
    let before = entries(&client, ReadOptions::new()).await;
    assert_eq!(entries(&new, ReadOptions::new()).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_majority_still_gives_what_it_has() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let left = cluster.others(leader)[0];
    cluster.map(leader).put("k", "v").await.unwrap();
    cluster.wait_local(left, "k", "v").await;
    for node in cluster.others(left) {
        cluster.close(node).await;
    }
    let map = cluster.map(left);
    let soon = ReadOptions::new().timeout(Duration::from_millis(300));
    assert_kind(map.backup_with(soon).await, &[ErrorKind::Unavailable]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    let local = ReadOptions::new().consistency(Consistency::Local);
    keep(map.backup_with(local).await.unwrap(), &file).await;
    let new = restored(&file, dir.path(), "n").await;
    assert_eq!(new.get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_closes_ends_its_backups_without_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path().join("old"))).await.unwrap();
    map.put("k", "v").await.unwrap();
    let mut backup = map.backup().await.unwrap();
    let begun = backup.next().await.unwrap().unwrap();
    map.close().await.unwrap();
    let error = backup.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
    assert!(backup.next().await.is_none());
    let file = dir.path().join("kept");
    std::fs::write(&file, begun).unwrap();
    let found = kvraft::verify_backup(&file).unwrap();
    assert!(found.damage[0].contains("cut short"), "{found:?}");
    let options = RestoreOptions::new(&file, dir.path().join("new"), "n");
    assert_kind(kvraft::restore(&options), &[ErrorKind::Corrupt]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_only_buffers_or_only_a_disk_is_backed_up_alike() {
    let dir = tempfile::tempdir().unwrap();
    let open = || ReplicatedMap::open(Config::new(dir.path().join("old")));
    let map = open().await.unwrap();
    map.put("a", "1").await.unwrap();
    let fresh = std::fs::read(taken(&map, dir.path()).await).unwrap();
    map.close().await.unwrap();
    let map = open().await.unwrap();
    map.wait_ready(Duration::from_secs(10)).await.unwrap();
    let (early, late) = (fresh, std::fs::read(taken(&map, dir.path()).await).unwrap());
    let record = |bytes: &[u8]| bytes.windows(2).filter(|pair| pair == b"a\x01").count();
    assert_eq!((record(&early), record(&late)), (1, 1));
}
