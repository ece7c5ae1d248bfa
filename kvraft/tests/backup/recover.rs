//! A cluster that has lost its majority for good.

use kvraft::{Config, ErrorKind, ReadOptions, ReplicatedMap};

use crate::harness::{Cluster, assert_kind};
use crate::support::entries;

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_goes_on_alone_with_all_that_it_had() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let left = cluster.others(leader)[0];
    for n in 0..100 {
        cluster.map(leader).put(format!("k{n:03}"), "v").await.unwrap();
    }
    let last = cluster.map(leader).put("last", "v").await.unwrap();
    cluster.wait_local(left, "last", "v").await;
    let before = entries(cluster.map(leader), ReadOptions::new()).await;
    let old_id = cluster.map(left).status().cluster_id;
    let into = cluster.path(9);
    assert_kind(kvraft::recover_quorum(cluster.path(left), &into), &[ErrorKind::Refused]);
    for node in 0..3 {
        cluster.close(node).await;
    }
    let old = cluster.path(left);
    let recovered = kvraft::recover_quorum(&old, &into).unwrap();
    assert_eq!(recovered.name, format!("n{left}"));
    assert!(recovered.last >= recovered.committed);
    assert!(!into.with_extension("recovery").exists());
    let map = ReplicatedMap::open(Config::new(&into).name(&recovered.name)).await.unwrap();
    assert_eq!(entries(&map, ReadOptions::new()).await, before);
    assert_ne!(map.status().cluster_id, old_id);
    assert_eq!(map.status().members.len(), 1);
    assert!(map.put("k", "v").await.unwrap() >= last + (1 << 40));
    // The old directory has what it had, and nothing is written over what is there.
    assert!(kvraft::verify_data_dir(&old).unwrap().is_sound());
    assert_kind(kvraft::recover_quorum(&old, &into), &[ErrorKind::Refused]);
    assert_kind(kvraft::recover_quorum(cluster.path(7), cluster.path(8)), &[ErrorKind::Refused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_majority_has_committed_but_stands_in_the_log_is_kept() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.map(leader).put("before", "v").await.unwrap();
    cluster.isolate(&[leader]);
    // Nobody is there to commit it: its caller is told that it may or may not be applied.
    let alone = kvraft::WriteOptions::new().timeout(std::time::Duration::from_millis(500));
    let unsure = cluster.map(leader).put_with("unsure", "v", alone).await;
    assert_kind(unsure, &[ErrorKind::Indeterminate]);
    drop(cluster.maps[leader].take().unwrap().close().await);
    let into = cluster.path(9);
    let recovered = kvraft::recover_quorum(cluster.path(leader), &into).unwrap();
    assert!(recovered.committed < recovered.last, "{recovered:?}");
    let map = ReplicatedMap::open(Config::new(&into).name(&recovered.name)).await.unwrap();
    assert_eq!(map.get("before").await.unwrap().unwrap(), "v");
    assert!(map.get("unsure").await.unwrap().is_some());
}
