//! The map without async: no executor anywhere in these tests.

use std::time::Duration;

use kvraft::blocking::ReplicatedMap;
use kvraft::{Config, ErrorKind, KeyRange, ScanOptions, WatchEvent, WatchOptions};
use tempfile::TempDir;

use crate::harness::{PATIENCE, assert_kind};

const TTL: Duration = Duration::from_secs(2);

fn open(dir: &TempDir) -> ReplicatedMap {
    let map = ReplicatedMap::open(Config::new(dir.path())).unwrap();
    map.wait_ready(PATIENCE).unwrap();
    map
}

#[test]
fn a_watch_that_is_asked_in_short_steps_loses_no_event() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir);
    let mut watch = map.watch(KeyRange::prefix("k"), WatchOptions::new().resync()).unwrap();
    let writing = {
        let map = map.clone();
        std::thread::spawn(move || {
            (0..200).map(|n| map.put(format!("k{n}"), "v").unwrap()).collect::<Vec<_>>()
        })
    };
    let (mut told, mut empty) = (Vec::new(), 0_u64);
    while told.len() < 200 {
        match watch.next_within(Duration::from_micros(200)).unwrap() {
            None => empty += 1,
            Some(WatchEvent::Changes { revision, .. }) => told.push(revision),
            Some(WatchEvent::SnapshotEntries(entries)) => {
                told.extend(entries.iter().map(|entry| entry.revision));
            }
            Some(_) => {}
        }
    }
    told.sort_unstable();
    assert_eq!(told, writing.join().unwrap(), "{empty} steps were empty");
    assert_eq!(watch.next_within(Duration::from_millis(1)).unwrap(), None);
    map.close().unwrap();
    assert_kind(watch.next_within(PATIENCE), &[ErrorKind::Closed]);
    assert_kind(watch.next_within(PATIENCE), &[ErrorKind::Closed]);
    assert!(watch.next().is_none());
}

#[test]
fn locks_and_leases_need_no_executor() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir);
    let first = map.lock("l", TTL).unwrap();
    assert!(first.is_held() && !first.lost(Duration::from_millis(1)));
    assert_eq!((first.name().as_ref(), first.lease().ttl()), (&b"l"[..], TTL));
    assert!(map.try_lock("l", TTL).unwrap().is_none());
    assert_kind(map.lock_within("l", TTL, Duration::from_millis(1)), &[ErrorKind::Refused]);
    let token = first.token();
    first.unlock().unwrap();
    let second = map.lock_within("l", TTL, PATIENCE).unwrap();
    assert!(second.token() > token);
    map.revoke_lease(second.lease().id()).unwrap();
    assert!(second.lost(PATIENCE) && !second.is_held());
    let lease = map.lease(TTL).unwrap();
    assert!(lease.is_alive() && !lease.ended(Duration::ZERO));
    map.revoke_lease(lease.id()).unwrap();
    assert!(lease.ended(PATIENCE));
    assert_kind(lease.revoke(), &[ErrorKind::Expired]);
    map.close().unwrap();
}

#[test]
fn what_is_at_its_end_says_so_however_often_it_is_asked() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir);
    map.put("k", "v").unwrap();
    let mut scan = map.scan(KeyRange::all(), ScanOptions::new()).unwrap();
    let mut backup = map.backup().unwrap();
    assert_eq!(scan.by_ref().count(), 1);
    assert!(backup.by_ref().all(|chunk| chunk.is_ok()));
    assert!(scan.next().is_none() && backup.next().is_none());
    map.close().unwrap();
}

#[test]
fn closing_tells_whoever_waits_for_the_end_of_a_lease() {
    let dir = TempDir::new().unwrap();
    let map = open(&dir);
    let lease = map.lease(PATIENCE * 1000).unwrap();
    let waiting = std::thread::spawn(move || lease.ended(PATIENCE));
    map.close().unwrap();
    assert!(waiting.join().unwrap());
}
