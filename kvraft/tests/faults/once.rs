//! Writes whose answers are lost: applied once, and never acknowledged for nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use kvraft::{Consistency, ErrorKind, ReadOptions, ReplicatedMap, WriteOptions};

use crate::harness::{Cluster, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn retries_whose_first_answers_were_lost_are_applied_once() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let writer = cluster.others(leader)[0];
    let map = cluster.map(writer);
    map.put("old", "1").await.unwrap();
    // The leader hears the writer, but the writer hears nobody: its answers are lost.
    let deaf = cluster.address(writer);
    let others: Vec<_> = cluster.others(writer).iter().map(|n| cluster.address(*n)).collect();
    cluster.network.cut_one_way(&others, &[deaf]);
    let long = WriteOptions::new().timeout(Duration::from_secs(20));
    let heal = async {
        let local = ReadOptions::new().consistency(Consistency::Local);
        eventually("the leader has applied both", async || {
            let old = cluster.map(leader).get_with("old", local).await.unwrap();
            let new = cluster.map(leader).get_with("new", local).await.unwrap();
            (old.is_none() && new.is_some()).then_some(())
        })
        .await;
        // Without a leader the writer gives its attempts up, so that it has to ask again.
        eventually("the writer has lost its leader", async || {
            map.status().leader.is_none().then_some(())
        })
        .await;
        cluster.network.heal();
    };
    let (deleted, revision, ()) =
        tokio::join!(map.delete_with("old", long.clone()), map.put_with("new", "2", long), heal);
    // A second delete would find nothing, and a second put would replace the first.
    assert!(deleted.unwrap().existed);
    let put = revision.unwrap();
    assert!(!put.replaced);
    let entry = map.get_with("new", ReadOptions::new()).await.unwrap().unwrap();
    assert_eq!((entry.revision, entry.created), (put.revision, put.revision));
}

/// What one writer knows of its key, whose values count up.
#[derive(Debug, Default)]
struct Account {
    revisions: Vec<u64>,
    /// The last value that was acknowledged.
    last: Option<usize>,
    /// Values after it that may be there.
    possible: BTreeSet<usize>,
}

async fn write(
    map: ReplicatedMap,
    key: String,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Account {
    let mut account = Account::default();
    let options = WriteOptions::new().timeout(Duration::from_secs(2));
    for n in 0.. {
        if *stop.borrow() {
            break;
        }
        match map.put_with(&key, n.to_string(), options.clone()).await {
            Ok(put) => {
                account.revisions.push(put.revision);
                account.last = Some(n);
                account.possible.clear();
            }
            Err(error) if error.kind() == ErrorKind::Indeterminate => {
                account.possible.insert(n);
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
    }
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_under_a_leader_that_is_cut_off_again_and_again_lose_and_double_nothing() {
    let cluster = Cluster::start(3).await;
    let node = cluster.others(cluster.leader().await)[0];
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let key = |writer: usize| format!("writer{writer}");
    let writers: Vec<_> = (0..8)
        .map(|n| tokio::spawn(write(cluster.map(node).clone(), key(n), stopped.clone())))
        .collect();
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let revision = cluster.map(leader).status().revision;
        cluster.isolate(&[leader]);
        let rest = cluster.others(leader);
        let next = cluster.leader_among(&rest).await;
        cluster.network.heal();
        cluster.network.lose(10);
        cluster.leader().await;
        eventually("the next leader applies more", async || {
            (cluster.map(next).status().revision > revision + 8).then_some(())
        })
        .await;
    }
    stop.send(true).unwrap();
    let mut revisions = BTreeSet::<u64>::new();
    let mut acknowledged = 0;
    for (n, writer) in writers.into_iter().enumerate() {
        let account = writer.await.unwrap();
        assert!(account.revisions.is_sorted(), "{account:?}");
        acknowledged += account.revisions.len();
        revisions.extend(&account.revisions);
        for reader in 0..3 {
            let value = cluster.map(reader).get(key(n)).await.unwrap();
            let value = value.map(|value| String::from_utf8_lossy(&value).parse().unwrap());
            let known = value == account.last;
            assert!(known || account.possible.contains(&value.unwrap()), "{value:?}: {account:?}");
        }
    }
    assert!(acknowledged > 0);
    assert_eq!(revisions.len(), acknowledged, "two writes were acknowledged as one change");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sends_again_is_applied_once() {
    let cluster = Cluster::start(3).await;
    let map = cluster.connect(&[0, 1, 2]).await;
    let long = WriteOptions::new().timeout(Duration::from_secs(20));
    let counting = async {
        for _ in 0..60 {
            map.increment_with("n", 1, long.clone()).await.unwrap();
        }
    };
    let trouble = async {
        for _ in 0..2 {
            let leader = cluster.leader().await;
            // Its answers are lost, and then it is.
            cluster.network.silence(cluster.address(leader));
            cluster.leader_among(&cluster.others(leader)).await;
            cluster.network.heal();
            cluster.network.lose(20);
            cluster.leader().await;
        }
        cluster.network.heal();
    };
    tokio::join!(counting, trouble);
    let value = map.get("n").await.unwrap().unwrap();
    assert_eq!(value, "60");
}
