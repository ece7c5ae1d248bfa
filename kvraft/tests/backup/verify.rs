//! What is damaged on a disk is found and named; what is looked at does not change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kvraft::{Config, ErrorKind, KeyRange, ReplicatedMap, Verified, WriteOptions};

use crate::harness::{PATIENCE, assert_kind};

/// A closed node with some of everything.
async fn node(dir: &Path) -> PathBuf {
    let data_dir = dir.join("n1");
    let map = ReplicatedMap::open(Config::new(&data_dir)).await.unwrap();
    for n in 0..50 {
        map.put(format!("key-{n:02}"), format!("value number {n:02}")).await.unwrap();
    }
    let ttl = WriteOptions::new().ttl(Duration::from_secs(3600));
    map.put_with("key-of-a-lease", "x", ttl).await.unwrap();
    let lease = map.grant_lease(Duration::from_secs(3600)).await.unwrap();
    map.acquire("a-lock", lease, PATIENCE).await.unwrap();
    map.put_with("once", "1", WriteOptions::new().request_id("a-request")).await.unwrap();
    map.delete_range(KeyRange::prefix("key-4"), WriteOptions::new()).await.unwrap();
    map.put("last", "the last value of all").await.unwrap();
    map.close().await.unwrap();
    data_dir
}

fn state_file(data_dir: &Path) -> PathBuf {
    data_dir.join("state/1/data.mdb")
}

fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("log/data.mdb")
}

/// Flips one bit behind every place of `bytes`; returns the file as it was.
fn flip(file: &Path, bytes: &[u8], behind: usize) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let mut content = whole.clone();
    let places: Vec<_> =
        (0..content.len() - bytes.len()).filter(|at| content[*at..].starts_with(bytes)).collect();
    assert!(!places.is_empty(), "{} does not hold them", file.display());
    for at in places {
        content[at + behind] ^= 1;
    }
    fs::write(file, content).unwrap();
    whole
}

/// Every file with its bytes, but for the lock.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path.ends_with("LOCK") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

fn count(verified: &Verified, name: &str) -> u64 {
    verified.counts.iter().find(|(known, _)| *known == name).unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_directory_is_counted_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = node(dir.path()).await;
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    files(&data_dir, &mut before);
    let verified = kvraft::verify_data_dir(&data_dir).unwrap();
    files(&data_dir, &mut after);
    assert_eq!(verified.damage, [""; 0]);
    assert!(before == after, "a file was changed");
    assert_eq!(count(&verified, "entries"), 43);
    assert_eq!(count(&verified, "locks"), 1);
    assert_eq!(count(&verified, "leases"), 2);
    assert_eq!(count(&verified, "request ids"), 1);
    assert!(count(&verified, "log entries") > 55);
    let map = ReplicatedMap::open(Config::new(&data_dir)).await.unwrap();
    assert_kind(kvraft::verify_data_dir(&data_dir), &[ErrorKind::Refused]);
    assert_eq!(map.get("last").await.unwrap().unwrap(), "the last value of all");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_flipped_bit_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = node(dir.path()).await;
    let (log, state) = (log_file(&data_dir), state_file(&data_dir));
    let lock_row = b"\x03a-lock";
    let vote_key = b"\x01\0\0\0\0\0\0\0\x02";
    let identity_key = b"\x01\0\0\0\0\0\0\0\x05";
    let damages: [(&Path, &[u8], usize, &str); 7] = [
        (&log, b"the last value of all", 3, "log entry "),
        (&log, vote_key, 15, "log record Vote"),
        (&log, identity_key, 18, "log record Identity"),
        (&state, b"value number 07", 5, "state entry \"key-07\""),
        (&state, lock_row, lock_row.len() + 8, "state row \"\\x03a-lock\""),
        (&state, b"replica\x01", 30, "state record \"replica\""),
        (&state, b"key-of-a-lease", 5, "state"),
    ];
    for (file, bytes, behind, named) in damages {
        let whole = flip(file, bytes, behind);
        let verified = kvraft::verify_data_dir(&data_dir).unwrap();
        assert!(
            verified.damage.iter().any(|damage| damage.starts_with(named)),
            "no {named:?} in {:?}",
            verified.damage
        );
        fs::write(file, whole).unwrap();
    }
    flip(&log, b"value number 11", 2);
    flip(&state, b"value number 12", 2);
    flip(&state, b"value number 13", 2);
    let verified = kvraft::verify_data_dir(&data_dir).unwrap();
    assert_eq!(verified.damage.len(), 3, "each is named: {verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_cut_off_or_of_another_node_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = node(dir.path()).await;
    let other = node(&dir.path().join("other")).await;
    let state = state_file(&data_dir);
    let kept = fs::read(&state).unwrap();
    fs::write(&state, fs::read(state_file(&other)).unwrap()).unwrap();
    let damage = kvraft::verify_data_dir(&data_dir).unwrap().damage;
    assert!(damage[0].contains("the log is of node"), "{damage:?}");
    fs::remove_file(&state).unwrap();
    let damage = kvraft::verify_data_dir(&data_dir).unwrap().damage;
    assert!(damage[0].contains("state: ") && damage[0].contains("missing"), "{damage:?}");
    fs::write(&state, &kept).unwrap();
    assert!(kvraft::verify_data_dir(&data_dir).unwrap().is_sound());

    assert_kind(kvraft::verify_data_dir(dir.path()), &[ErrorKind::Refused]);
    assert_kind(
        kvraft::verify_data_dir(dir.path().join("none")),
        &[ErrorKind::Storage, ErrorKind::Refused],
    );
    fs::write(data_dir.join("FORMAT"), "kvraft 9\n").unwrap();
    assert_kind(kvraft::verify_data_dir(&data_dir), &[ErrorKind::Refused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_directory_is_sound_before_and_after_its_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = node(dir.path()).await;
    let map = ReplicatedMap::open(Config::new(&data_dir)).await.unwrap();
    let file = crate::support::taken(&map, dir.path()).await;
    let verified = kvraft::verify_backup(&file).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(count(&verified, "entries"), 43);
    let new = dir.path().join("new");
    kvraft::restore(&kvraft::RestoreOptions::new(&file, &new, "n1")).unwrap();
    assert_eq!(kvraft::verify_data_dir(&new).unwrap().damage, [""; 0]);
    let restored = ReplicatedMap::open(Config::new(&new).name("n1")).await.unwrap();
    restored.put("k", "v").await.unwrap();
    restored.close().await.unwrap();
    assert_eq!(kvraft::verify_data_dir(&new).unwrap().damage, [""; 0]);
}
