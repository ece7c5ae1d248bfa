//! Flipped bytes on the disk of a node.

use std::fs;
use std::path::{Path, PathBuf};

use kvraft::{Config, ErrorKind, ReplicatedMap};
use tempfile::TempDir;

use crate::assert_says;
use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};
use crate::process::Process;

/// Flips a bit of every copy of `bytes` in a file; doing it again mends it.
fn flip(file: &Path, bytes: &[u8]) {
    let mut content = fs::read(file).unwrap();
    let places: Vec<_> = content
        .windows(bytes.len())
        .enumerate()
        .filter(|(_, window)| window[1..] == bytes[1..])
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "{} does not hold them", file.display());
    for at in places {
        content[at] ^= 0x80;
    }
    fs::write(file, content).unwrap();
}

fn log_file(data_dir: &Path) -> PathBuf {
    data_dir.join("log/data.mdb")
}

/// The file of the one generation that a closed node has of its state.
fn state_file(data_dir: &Path) -> PathBuf {
    let entries = fs::read_dir(data_dir.join("state")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path().join("data.mdb"))
        .filter(|file| file.exists())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_entry_is_told_and_never_cut_away_while_the_others_go_on() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let damaged = cluster.others(leader)[0];
    let value = "the value in the last entry of the log";
    cluster.map(leader).put("k", value).await.unwrap();
    cluster.wait_local(damaged, "k", value).await;
    cluster.close(damaged).await;
    let file = log_file(&cluster.path(damaged));
    flip(&file, value.as_bytes());

    let error = ReplicatedMap::open(cluster.config(damaged)).await.expect_err("a damaged log");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_says(&error.to_string(), &["log entry", "checksum", "move its data directory away"]);

    cluster.map(leader).put("k", "on").await.unwrap();
    let other = cluster.others(leader)[1];
    assert_eq!(cluster.map(other).get("k").await.unwrap().unwrap(), "on");
    // The entry is still there, and nothing holds the directory: mended, the node catches up.
    flip(&file, value.as_bytes());
    cluster.open(damaged).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(damaged).get("k").await.unwrap().unwrap(), "on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_set_aside_lets_its_node_begin_anew_under_its_name() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let damaged = cluster.others(leader)[0];
    let value = "the value in the last entry of the log";
    cluster.map(leader).put("k", value).await.unwrap();
    cluster.wait_local(damaged, "k", value).await;
    let path = cluster.path(damaged);
    assert_kind(kvraft::set_aside(&path), &[ErrorKind::Refused]);
    cluster.close(damaged).await;
    let error = kvraft::set_aside(&path).unwrap_err();
    assert_says(&error.to_string(), &["nothing", "is damaged"]);
    flip(&log_file(&path), value.as_bytes());

    let aside = kvraft::set_aside(&path).unwrap();
    assert_says(&aside.damage.join("\n"), &["log entry", "checksum"]);
    assert!(!path.exists() && log_file(&aside.path).exists());
    let map = cluster.open(damaged).await;
    // The old disk has to be silent for 10 s first.
    map.wait_ready(2 * PATIENCE).await.unwrap();
    assert_eq!(map.get("k").await.unwrap().unwrap(), value);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_damaged_on_one_disk_comes_back_from_another_member() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let damaged = cluster.others(leader)[0];
    let value = "a value that is on the disks of three members";
    cluster.map(leader).put("k", value).await.unwrap();
    cluster.wait_local(damaged, "k", value).await;
    cluster.close(damaged).await;
    flip(&state_file(&cluster.path(damaged)), value.as_bytes());

    let map = cluster.open(damaged).await;
    map.wait_ready(PATIENCE).await.unwrap();
    assert_kind(map.get("k").await, &[ErrorKind::Corrupt]);
    map.refill().await.unwrap();
    assert_eq!(map.get("k").await.unwrap().unwrap(), value);
    cluster.close(damaged).await;
    assert!(kvraft::verify_data_dir(cluster.path(damaged)).unwrap().is_sound());
}

#[test]
fn a_damaged_entry_that_has_to_be_replayed_stops_the_start_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let settings = [
        ("data_dir", dir.path().display().to_string()),
        // Nothing but the log holds what was written.
        ("checkpoint_interval", "10m".to_owned()),
    ];
    let value = |n| format!("the value in entry {n} of the log");
    let mut process = Process::start(&settings).unwrap();
    for n in 0..9 {
        assert!(process.ask(&format!("put k{n} {}", value(n))).starts_with("ok"));
    }
    process.kill();
    let file = log_file(dir.path());
    flip(&file, value(4).as_bytes());
    let refusal = Process::start(&settings).err().expect("a damaged log");
    assert_says(&refusal, &["error corrupt", "log entry", "move its data directory away"]);

    flip(&file, value(4).as_bytes());
    let mut process = Process::start(&settings).unwrap();
    for n in 0..9 {
        assert_eq!(process.ask(&format!("get k{n}")), format!("ok {}", value(n)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_damaged_on_one_disk_reaches_a_follower_from_the_sound_one() {
    let mut cluster = Cluster::start(3).await;
    let value = "the value in an entry that one follower misses";
    let leader = cluster.leader().await;
    let (away, witness) = (cluster.others(leader)[0], cluster.others(leader)[1]);
    cluster.close(away).await;
    cluster.map(leader).put("k", value).await.unwrap();
    cluster.map(leader).put("last", "1").await.unwrap();
    cluster.wait_local(witness, "last", "1").await;
    // Both are restarted, so that nothing but their disks holds the entry; one disk is damaged.
    cluster.close(witness).await;
    cluster.close(leader).await;
    flip(&log_file(&cluster.path(leader)), value.as_bytes());
    cluster.open(leader).await;
    cluster.open(witness).await;
    cluster.open(away).await;
    // Whoever leads, the sound nodes hold a majority and end up with everything.
    cluster.map(away).wait_ready(PATIENCE).await.unwrap();
    eventually("the follower has what it missed", async || {
        let read = cluster.map(away).get("k").await;
        read.ok().flatten().is_some_and(|found| found == value).then_some(())
    })
    .await;
    if let Some(failure) = cluster.map(leader).status().failure {
        assert_eq!(failure.kind(), ErrorKind::Corrupt, "{failure}");
        assert_says(&failure.to_string(), &["log entry", "move its data directory away"]);
        assert_kind(cluster.map(leader).get("k").await, &[ErrorKind::Corrupt]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_value_is_corrupt_and_a_write_over_it_stops_the_node_without_an_answer() {
    let dir = TempDir::new().unwrap();
    let open = async || {
        let map = ReplicatedMap::open(Config::new(dir.path())).await.unwrap();
        map.wait_ready(PATIENCE).await.unwrap();
        map
    };
    let map = open().await;
    map.put("bad", "a value that will be damaged").await.unwrap();
    map.put("good", "a value that stays").await.unwrap();
    map.close().await.unwrap();
    drop(map);
    flip(&state_file(dir.path()), b"a value that will be damaged");

    let map = open().await;
    let error = map.get("bad").await.expect_err("a damaged value");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_says(&error.to_string(), &["checksum", "backup"]);
    assert_eq!(map.get("good").await.unwrap().unwrap(), "a value that stays");

    assert_kind(map.put("bad", "x").await, &[ErrorKind::Corrupt, ErrorKind::Indeterminate]);
    eventually("the node has stopped serving", async || {
        map.status().failure.filter(|failure| failure.kind() == ErrorKind::Corrupt)
    })
    .await;
    assert_kind(map.get("good").await, &[ErrorKind::Corrupt]);
    map.close().await.unwrap();
}
