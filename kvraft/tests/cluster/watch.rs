//! Watches: every change, in order, once, on every member.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use kvraft::{
    Bytes, ErrorKind, KeyRange, Op, ReplicatedMap, ScanOptions, Watch, WatchEvent, WatchOptions,
    WriteOptions,
};

use crate::harness::Cluster;

/// What a watcher has been told, laid over each other.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    pub(crate) map: BTreeMap<Bytes, Bytes>,
    revision: u64,
    in_snapshot: bool,
    pub(crate) snapshots: usize,
}

impl Folded {
    pub(crate) fn take(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::SnapshotBegin { revision } => {
                assert!(revision >= self.revision, "a snapshot is older than what was told");
                *self = Self {
                    revision,
                    in_snapshot: true,
                    snapshots: self.snapshots + 1,
                    ..Self::default()
                };
            }
            WatchEvent::SnapshotEntries(entries) => {
                let bytes: usize = entries.iter().map(|entry| entry.value.len()).sum();
                assert!(bytes <= 2 << 20, "an event of {bytes} bytes");
                self.map.extend(entries.into_iter().map(|entry| (entry.key, entry.value)));
            }
            WatchEvent::SnapshotEnd { revision } => {
                assert_eq!(revision, self.revision);
                self.in_snapshot = false;
            }
            WatchEvent::Changes { revision, changes } => {
                assert!(revision > self.revision && !self.in_snapshot);
                self.revision = revision;
                for change in changes {
                    match change.entry {
                        Some(entry) => {
                            assert_eq!(entry.revision, revision);
                            self.map.insert(change.key, entry.value);
                        }
                        None => assert!(self.map.remove(&change.key).is_some()),
                    }
                }
            }
            other => panic!("{other:?} is new"),
        }
    }

    /// Takes events until the key `end` has come.
    pub(crate) async fn follow(&mut self, watch: &mut Watch, end: &str) {
        let told = async {
            while !self.map.contains_key(end.as_bytes()) || self.in_snapshot {
                let event = watch.next().await.expect("a watch does not end").unwrap();
                self.take(event);
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("the watch goes on");
    }
}

pub(crate) async fn entries(map: &ReplicatedMap) -> BTreeMap<Bytes, Bytes> {
    let page = map.page(KeyRange::all(), ScanOptions::new()).await.unwrap();
    page.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

async fn write_some(map: &ReplicatedMap, round: usize) {
    for n in 0..40 {
        let key = format!("k{}", n % 17);
        let patient = || WriteOptions::new().timeout(Duration::from_secs(20));
        match n % 4 {
            0 => drop(map.delete_with(&key, patient()).await.unwrap()),
            3 => {
                let ops = [Op::put(&key, "batched"), Op::put(format!("b{n}"), "x")];
                drop(map.batch(ops).await.unwrap());
            }
            _ => drop(map.put_with(&key, format!("{round}/{n}"), patient()).await.unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_watchers_are_told_adds_up_to_the_map_across_a_change_of_leader() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let map = cluster.map(rest[0]).clone();
    let mut watches = Vec::new();
    for node in &rest {
        let watch = cluster.map(*node).watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
        watches.push((*node, watch, Folded::default()));
    }
    write_some(&map, 0).await;
    cluster.close(leader).await;
    write_some(&map, 1).await;
    map.delete_range(KeyRange::prefix("b1"), WriteOptions::new()).await.unwrap();
    map.put("end", "").await.unwrap();
    let expected = entries(&map).await;
    for (node, watch, folded) in &mut watches {
        folded.follow(watch, "end").await;
        assert_eq!(folded.map, expected, "on n{node}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_a_revision_tells_the_past_with_what_was_before() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    map.put("a", "0").await.unwrap();
    let from = map.put("a", "1").await.unwrap();
    map.put("b", "not watched").await.unwrap();
    map.delete("a").await.unwrap();
    let options = WatchOptions::new().from(from).previous();
    let mut watch = map.watch(KeyRange::key("a"), options).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let Some(Ok(WatchEvent::Changes { changes, .. })) = watch.next().await else {
            panic!("two changes");
        };
        let value = |entry: &Option<kvraft::Entry>| entry.as_ref().map(|entry| entry.value.clone());
        seen.push((value(&changes[0].previous), value(&changes[0].entry)));
    }
    let bytes = |text: &'static str| Some(Bytes::from(text));
    assert_eq!(seen, [(bytes("0"), bytes("1")), (bytes("1"), None)]);
    let error = map.watch(KeyRange::all(), WatchOptions::new().from(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(error.revision().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_watcher_is_compacted_and_one_that_resyncs_catches_up() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    map.put("before", "x").await.unwrap();
    let mut slow = map.watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
    let mut patient = map.watch(KeyRange::all(), WatchOptions::new().resync()).await.unwrap();
    let mut folded = Folded::default();
    map.put("first", "x").await.unwrap();
    folded.follow(&mut patient, "first").await;
    // More than a node holds: 64 MiB of values.
    let value = vec![b'v'; 1 << 20];
    for n in 0..80 {
        map.put(format!("large{}", n % 5), &value).await.unwrap();
    }
    map.put("end", "").await.unwrap();
    let error = slow.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
    assert!(slow.next().await.is_none());
    assert!(slow.next().await.is_none(), "whoever asks again is told the same");
    folded.follow(&mut patient, "end").await;
    assert!(folded.snapshots == 2, "{} snapshots", folded.snapshots);
    assert_eq!(folded.map, entries(map).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_resyncs_goes_on_from_a_revision_while_it_is_held() {
    let cluster = Cluster::start(1).await;
    let map = cluster.map(0);
    map.put("a", "0").await.unwrap();
    let from = map.put("b", "1").await.unwrap();
    map.put("end", "").await.unwrap();
    let resync = WatchOptions::new().resync();
    let mut held = map.watch(KeyRange::all(), resync.from(from)).await.unwrap();
    let mut folded = Folded::default();
    folded.follow(&mut held, "end").await;
    assert_eq!((folded.snapshots, folded.map.contains_key(&b"a"[..])), (0, false));
    let mut gone = map.watch(KeyRange::all(), resync.from(0)).await.unwrap();
    let mut folded = Folded::default();
    folded.follow(&mut gone, "end").await;
    assert_eq!((folded.snapshots, &folded.map), (1, &entries(map).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gets_a_snapshot_instead_of_the_changes_says_so_to_its_watchers() {
    let cluster = Cluster::start_with(3, |_, config| config.log_keep_bytes(64 << 10)).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let away = rest[0];
    let mut resync =
        cluster.map(away).watch(KeyRange::all(), WatchOptions::new().resync()).await.unwrap();
    let mut plain = cluster.map(away).watch(KeyRange::all(), WatchOptions::new()).await.unwrap();
    cluster.isolate(&[away]);
    let map = cluster.map(leader);
    let status = || map.status();
    let last = status().last_log;
    let value = vec![b'v'; 16 << 10];
    crate::harness::eventually("the log is purged beyond what the other has", async || {
        map.put("large", &value).await.unwrap();
        (status().first_log > last + 1).then_some(())
    })
    .await;
    map.put("end", "").await.unwrap();
    cluster.network.heal();
    let mut folded = Folded::default();
    folded.follow(&mut resync, "end").await;
    assert_eq!(folded.map, entries(map).await);
    let error = plain.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Compacted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_node() {
    let mut cluster = Cluster::start(1).await;
    let mut watch =
        cluster.map(0).watch(KeyRange::all(), WatchOptions::new().resync()).await.unwrap();
    cluster.close(0).await;
    let ended = async {
        loop {
            if let Err(error) = watch.next().await.expect("the reason comes first") {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap();
    assert_eq!(error.kind(), ErrorKind::Closed);
}
