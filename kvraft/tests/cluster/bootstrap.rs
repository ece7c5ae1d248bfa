//! How nodes without a cluster found exactly one, and how strangers are kept out.

use std::time::Duration;

use kvraft::{ErrorKind, ReplicatedMap};

use crate::harness::{Cluster, PATIENCE, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn members_listed_in_any_order_found_one_cluster() {
    let cluster = Cluster::start_with(3, |node, config| {
        if node == 0 { config } else { config.label("zone", format!("z{node}")) }
    })
    .await;
    let ids: std::collections::BTreeSet<_> =
        (0..3).map(|node| cluster.map(node).status().cluster_id).collect();
    assert_eq!(ids.len(), 1);
    let members = cluster.map(0).status().members;
    assert_eq!(
        members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(),
        ["n0", "n1", "n2"]
    );
    assert_eq!(members[2].labels.get("zone").map(String::as_str), Some("z2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_waits_for_a_slow_node_and_says_for_whom() {
    let mut cluster = Cluster::prepare(3, |_, config| config);
    cluster.open(0).await;
    cluster.open(1).await;
    eventually("the first node says whom it waits for", async || {
        let waited = cluster.map(0).wait_ready(Duration::from_millis(50)).await;
        let error = waited.expect_err("a third is missing");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        error.to_string().contains("n2").then_some(())
    })
    .await;
    cluster.open(2).await;
    cluster.wait_all_ready().await;
    cluster.map(2).put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_wiped_before_the_cluster_exists_takes_part_under_its_new_id() {
    let mut cluster = Cluster::prepare(3, |_, config| config);
    let first = cluster.open(1).await.status().node_id;
    cluster.open(0).await;
    eventually("the first node waits for the third", async || {
        let error = cluster.map(0).wait_ready(Duration::from_millis(50)).await.expect_err("waits");
        error.to_string().contains("n2").then_some(())
    })
    .await;
    cluster.close(1).await;
    std::fs::remove_dir_all(cluster.path(1)).unwrap();
    let second = cluster.open(1).await.status().node_id;
    assert_ne!(first, second);
    cluster.open(2).await;
    cluster.wait_all_ready().await;
    cluster.map(1).put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_disk_is_refused_once_a_peer_has_seen_the_newer_start() {
    let mut cluster = Cluster::start(3).await;
    let node = cluster.others(cluster.leader().await)[0];
    cluster.close(node).await;
    let backup = cluster.path(node).with_extension("backup");
    copy_dir(&cluster.path(node), &backup);
    cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    cluster.close(node).await;
    std::fs::remove_dir_all(cluster.path(node)).unwrap();
    std::fs::rename(&backup, cluster.path(node)).unwrap();
    let map = cluster.open(node).await;
    let error = map.wait_ready(PATIENCE).await.expect_err("an old copy");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_another_cluster_has_no_part_in_this_one_and_says_why() {
    let mut one = Cluster::start(3).await;
    let mut other = Cluster::start(3).await;
    let node = one.others(one.leader().await)[0];
    one.close(node).await;
    for node in 0..3 {
        other.close(node).await;
    }
    std::fs::remove_dir_all(one.path(node)).unwrap();
    copy_dir(&other.path(node), &one.path(node));
    let map = one.open(node).await;
    eventually("the node says why it finds no leader", async || {
        let error = map.wait_ready(Duration::from_millis(50)).await.expect_err("a stranger");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        error.to_string().contains("one of the two has the data directory of another").then_some(())
    })
    .await;
    let rest = one.others(node);
    one.leader_among(&rest).await;
    one.map(rest[0]).put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn different_lists_of_members_found_nothing_and_say_why() {
    let cluster = Cluster::prepare(2, |_, config| config);
    let strange = cluster.config(1).election_timeout(Duration::from_millis(900));
    let first = ReplicatedMap::open(cluster.config(0)).await.unwrap();
    let second = ReplicatedMap::open(strange).await.unwrap();
    eventually("the first node says what differs", async || {
        let error = first.wait_ready(Duration::from_millis(100)).await.expect_err("no grant");
        error.to_string().contains("election").then_some(())
    })
    .await;
    first.close().await.unwrap();
    second.close().await.unwrap();
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
