//! Data directories that were lost: what may be replaced by itself, and what must not.

use std::time::Duration;

use kvraft::{ErrorKind, WriteOptions};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};

/// How long a call is tried that must not succeed: many elections.
fn short() -> WriteOptions {
    WriteOptions::new().timeout(Duration::from_secs(2))
}

/// Returns what a node that is not ready waits for.
async fn obstacle(cluster: &Cluster, node: usize) -> String {
    let waited = cluster.map(node).wait_ready(Duration::from_millis(50)).await;
    waited.expect_err("it is not ready").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_wiped_voters_of_three_elect_nobody_and_say_what_they_wait_for() {
    let mut cluster = Cluster::start(3).await;
    cluster.map(0).put("k", "v").await.unwrap();
    cluster.wait_local(2, "k", "v").await;
    for node in 0..3 {
        cluster.close(node).await;
    }
    for node in 0..2 {
        cluster.wipe(node);
    }
    for node in 0..3 {
        cluster.open(node).await;
    }
    // The first name would found the cluster, if there were none.
    for node in 0..2 {
        eventually("it says what it waits for", async || {
            let text = obstacle(&cluster, node).await;
            (text.contains("n2") && text.contains("leader")).then_some(())
        })
        .await;
    }
    for node in 0..3 {
        let failures = [ErrorKind::Unavailable, ErrorKind::Indeterminate];
        assert_kind(cluster.map(node).put_with("k", "lost", short()).await, &failures);
        assert_eq!(cluster.map(node).status().leader, None);
    }
    // The voters are still the old ones, and the one that is left has forgotten nothing.
    let members = cluster.map(2).status().members;
    assert_eq!(members.iter().filter(|member| member.voter).count(), 3);
    cluster.wait_local(2, "k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_voter_of_two_leaves_the_other_without_a_quorum_until_both_are_lost() {
    let mut cluster = Cluster::start(2).await;
    let first = cluster.map(1).status().cluster_id.unwrap();
    cluster.map(0).put("k", "v").await.unwrap();
    for node in 0..2 {
        cluster.close(node).await;
    }
    cluster.wipe(0);
    for node in 0..2 {
        cluster.open(node).await;
    }
    eventually("it says what it waits for", async || {
        let text = obstacle(&cluster, 0).await;
        (text.contains("n1") && text.contains("leader")).then_some(())
    })
    .await;
    let failures = [ErrorKind::Unavailable, ErrorKind::Indeterminate];
    assert_kind(cluster.map(1).put_with("k", "lost", short()).await, &failures);
    assert_kind(cluster.map(0).put_with("k", "lost", short()).await, &failures);
    // With both disks gone nobody remembers anything: it is a new cluster, and says so by its id.
    for node in 0..2 {
        cluster.close(node).await;
        cluster.wipe(node);
    }
    for node in 0..2 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    assert_ne!(cluster.map(1).status().cluster_id.unwrap(), first);
    assert_eq!(cluster.map(0).get("k").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_voter_comes_back_while_another_listed_member_is_gone() {
    let mut cluster = Cluster::start(5).await;
    let leader = cluster.leader().await;
    let (wiped, gone) = (cluster.others(leader)[0], cluster.others(leader)[1]);
    cluster.map(leader).put("k", "v").await.unwrap();
    cluster.close(gone).await;
    cluster.close(wiped).await;
    cluster.wipe(wiped);
    let map = cluster.open(wiped).await;
    // The old disk has to be silent for 10 s first.
    map.wait_ready(2 * PATIENCE).await.unwrap();
    eventually("the new disk votes in the place of the old one", async || {
        let id = map.status().node_id;
        let members = cluster.map(leader).status().members;
        members.iter().any(|member| member.node_id == id && member.voter).then_some(())
    })
    .await;
    assert_eq!(map.get("k").await.unwrap().unwrap(), "v");
}
