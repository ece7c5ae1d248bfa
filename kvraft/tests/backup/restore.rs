//! The clusters that are made of backups.

use std::fs;
use std::time::Duration;

use kvraft::{
    Config, ErrorKind, Insecure, ReadOptions, ReplicatedMap, RestoreOptions, WriteOptions,
};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};
use crate::support::{entries, restored, taken};

/// The least distance between what was known and what comes after a restore.
const GAP: u64 = 1 << 40;

#[tokio::test(flavor = "multi_thread")]
async fn revisions_tokens_and_leases_go_on_far_above_all_that_were_given_out() {
    let dir = tempfile::tempdir().unwrap();
    let old = ReplicatedMap::open(Config::new(dir.path().join("old"))).await.unwrap();
    old.put("k", "v").await.unwrap();
    let lease = old.grant_lease(Duration::from_secs(3600)).await.unwrap();
    let held = old.acquire("held", lease, PATIENCE).await.unwrap();
    let timed = WriteOptions::new().ttl(Duration::from_secs(3600));
    old.put_with("timed", "x", timed).await.unwrap();
    let once = || WriteOptions::new().request_id("r1").principal("p");
    let first = old.put_with("once", "1", once()).await.unwrap();
    let file = taken(&old, dir.path()).await;
    let before = entries(&old, ReadOptions::new()).await;
    // What the old cluster still gives out is below what the new one will.
    let lost = old.put("k", "lost").await.unwrap();

    let new = restored(&file, dir.path(), "n1").await;
    assert_eq!(entries(&new, ReadOptions::new()).await, before);
    // The lock is still held by its lease, under its token, and both can be used.
    assert!(new.try_lock("held", Duration::from_secs(5)).await.unwrap().is_none());
    new.keep_alive(lease).await.unwrap();
    assert_eq!(new.acquire("held", lease, PATIENCE).await.unwrap(), held);
    let info = new.lease_info(lease, ReadOptions::new()).await.unwrap();
    assert_eq!(info.ttl, Duration::from_secs(3600));
    let again = new.put_with("once", "2", once()).await;
    assert_kind(again, &[ErrorKind::InvalidArgument]);
    let same = new.put_with("once", "1", once()).await.unwrap();
    assert_eq!(same.revision, first.revision);

    let next = new.put("k", "w").await.unwrap();
    assert!(next >= before[&b"k"[..]].revision + GAP && next > lost, "{next}");
    let lock = new.lock("free", Duration::from_secs(5)).await.unwrap();
    assert!(lock.token() > next && lock.token() > held + GAP);
    assert!(new.grant_lease(Duration::from_secs(5)).await.unwrap() > lease);
    // An ETag of before is no condition that holds by chance.
    let stale = WriteOptions::new().if_revision(lost);
    assert_kind(new.put_with("k", "x", stale).await, &[ErrorKind::Conflict]);
    lock.unlock().await.unwrap();
    let revision = new.status().revision;
    new.close().await.unwrap();

    // A second restore of the same file begins above what the first gave out, if it is told.
    let data_dir = dir.path().join("second");
    let options = RestoreOptions::new(&file, &data_dir, "n1").above(revision);
    let second = kvraft::restore(&options).unwrap();
    assert!(second.next_revision >= revision + GAP);
    let new = ReplicatedMap::open(Config::new(&data_dir).name("n1")).await.unwrap();
    assert!(new.put("k", "w").await.unwrap() >= second.next_revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_the_old_cluster_are_refused_by_the_new_one_and_empty_ones_join() {
    let mut cluster = Cluster::start(3).await;
    cluster.map(0).put("k", "v").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = taken(cluster.map(0), dir.path()).await;
    let old_id = cluster.map(0).status().cluster_id;
    cluster.close(0).await;

    // It even stands at the address of an old member, under its name.
    let data_dir = dir.path().join("n0");
    kvraft::restore(&RestoreOptions::new(&file, &data_dir, "n0")).unwrap();
    let (network, addresses) = (cluster.network.clone(), cluster.addresses.clone());
    let config = |dir, name: &str, at: usize| {
        Config::new(dir)
            .name(name)
            .listen(addresses[at].to_string())
            .insecure(Insecure::Loopback)
            .environment(kvraft::environment::Environment {
                sockets: std::sync::Arc::new(network.clone()),
                ..kvraft::environment::Environment::default()
            })
    };
    let new = ReplicatedMap::open(config(data_dir, "n0", 0)).await.unwrap();
    new.wait_ready(PATIENCE).await.unwrap();
    new.put("new", "1").await.unwrap();
    cluster.map(1).put("old", "1").await.unwrap();
    cluster.map(2).put("old", "2").await.unwrap();
    assert_ne!(new.status().cluster_id, old_id);
    assert_eq!(cluster.map(1).status().cluster_id, old_id);
    assert!(new.get("old").await.unwrap().is_none());
    assert!(cluster.map(1).get("new").await.unwrap().is_none());

    // An old node that asks for a place keeps to its own cluster; an empty one is taken in.
    cluster.close(2).await;
    let at = cluster.address(0).to_string();
    let joins = config(dir.path().join("empty"), "m", 2).join([at.clone()]);
    let joined = ReplicatedMap::open(joins).await.unwrap();
    joined.wait_ready(PATIENCE).await.unwrap();
    eventually("the empty node has a vote", async || {
        let members = new.status().members;
        (members.len() == 2 && members.iter().all(|member| member.voter)).then_some(())
    })
    .await;
    assert_eq!(joined.get("k").await.unwrap().unwrap(), "v");
    let own = new.status().members.into_iter().find(|member| member.name == "n0");
    assert_eq!(own.unwrap().address, at);
    joined.put("k", "w").await.unwrap();
    joined.close().await.unwrap();
    drop(joined);
    let strays = config(cluster.path(2), "n2", 2).join([at]);
    let stray = ReplicatedMap::open(strays).await.unwrap();
    let found = stray.wait_ready(Duration::from_secs(2)).await;
    assert!(found.is_err() || stray.status().cluster_id == old_id);
    assert!(new.status().members.iter().all(|member| member.name != "n2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_of_a_damaged_backup_or_over_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let old = ReplicatedMap::open(Config::new(dir.path().join("old"))).await.unwrap();
    for n in 0..30 {
        old.put(format!("k{n}"), vec![n; 100_000]).await.unwrap();
    }
    let file = taken(&old, dir.path()).await;
    old.close().await.unwrap();
    let whole = fs::read(&file).unwrap();
    let new = dir.path().join("new");
    let options = || RestoreOptions::new(&file, &new, "n");
    let refused = |bytes: &[u8], words: &[&str]| {
        fs::write(&file, bytes).unwrap();
        let error = kvraft::restore(&options()).unwrap_err();
        for word in words {
            assert!(error.to_string().contains(word), "no {word:?} in: {error}");
        }
        assert!(!new.exists(), "nothing was made");
        error.kind()
    };
    for len in [0, 5, 8, 100, whole.len() / 2, whole.len() - 1] {
        let kind = refused(&whole[..len], &[]);
        let stranger = len < 8;
        assert_eq!(kind == ErrorKind::Refused, stranger, "{len} bytes");
    }
    let mut flipped = whole.clone();
    flipped[1_500_000] ^= 4;
    assert_eq!(refused(&flipped, &["frame 2 at byte", "checksum"]), ErrorKind::Corrupt);
    let mut newer = whole.clone();
    newer[7] += 1;
    assert_eq!(refused(&newer, &["version 2", "newer kvraft"]), ErrorKind::Refused);
    assert_eq!(refused(b"a photo of a cat", &["no backup"]), ErrorKind::Refused);
    let found = {
        flipped[100_000] ^= 1;
        fs::write(&file, &flipped).unwrap();
        kvraft::verify_backup(&file).unwrap()
    };
    assert_eq!(found.damage.len(), 2, "{found:?}");

    fs::write(&file, &whole).unwrap();
    fs::create_dir(&new).unwrap();
    fs::write(new.join("dear"), "x").unwrap();
    assert_kind(kvraft::restore(&options()), &[ErrorKind::Refused]);
    fs::remove_file(new.join("dear")).unwrap();
    assert_kind(
        kvraft::restore(&RestoreOptions::new(&file, &new, "no name")),
        &[ErrorKind::InvalidArgument],
    );
    kvraft::restore(&options()).unwrap();
    assert_kind(kvraft::restore(&options()), &[ErrorKind::Refused]);
    let map = ReplicatedMap::open(Config::new(&new).name("n")).await.unwrap();
    assert_eq!(map.count(kvraft::KeyRange::all(), ReadOptions::new()).await.unwrap(), 30);
}
