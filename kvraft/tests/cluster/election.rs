//! Who leads, and for how long.

use std::time::{Duration, Instant};

use kvraft::{ErrorKind, WriteOptions};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_elect_one_leader_that_all_agree_on() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let roles = (0..3).map(|node| cluster.map(node).status().role.name()).collect::<Vec<_>>();
    assert_eq!(roles.iter().filter(|role| **role == "leader").count(), 1, "{roles:?}");
    assert!(cluster.map(leader).status().is_leader());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_stays_while_nothing_fails() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let term = cluster.map(leader).status().term;
    // Many election timeouts long, with reads and writes on every node.
    let end = Instant::now() + Duration::from_secs(2);
    let mut round = 0;
    while Instant::now() < end {
        let node = round % 3;
        cluster.map(node).put(format!("k{round}"), "v").await.unwrap();
        cluster.map((node + 1) % 3).get(format!("k{round}")).await.unwrap().unwrap();
        round += 1;
    }
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.map(leader).status().term, term);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_leader_is_cut_off_the_others_elect_another_and_go_on() {
    let cluster = Cluster::start(3).await;
    let old = cluster.leader().await;
    cluster.map(old).put("before", "1").await.unwrap();
    cluster.isolate(&[old]);
    let rest = cluster.others(old);
    let new = cluster.leader_among(&rest).await;
    assert_ne!(new, old);
    cluster.map(rest[0]).put("after", "2").await.unwrap();
    assert_eq!(cluster.map(rest[1]).get("before").await.unwrap().unwrap(), "1");
    assert_eq!(cluster.map(rest[1]).get("after").await.unwrap().unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_split_vote_is_resolved() {
    // Nobody reaches anybody: every node campaigns alone, and nobody wins.
    let cluster = Cluster::start(3).await;
    cluster.isolate(&[0]);
    cluster.isolate(&[1]);
    eventually("nobody leads", async || {
        (0..3).all(|node| cluster.map(node).status().leader.is_none()).then_some(())
    })
    .await;
    let short = WriteOptions::new().timeout(Duration::from_millis(300));
    assert_kind(
        cluster.map(2).put_with("k", "v", short).await,
        &[ErrorKind::Unavailable, ErrorKind::Indeterminate],
    );
    // All come back at once and campaign against each other.
    cluster.network.heal();
    cluster.leader().await;
    cluster.map(2).put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_away_does_not_disturb_the_leader() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let away = cluster.others(leader)[0];
    let term = cluster.map(leader).status().term;
    cluster.isolate(&[away]);
    eventually("the node has lost its leader", async || {
        cluster.map(away).status().leader.is_none().then_some(())
    })
    .await;
    cluster.network.heal();
    eventually("the node follows again", async || cluster.map(away).status().leader.map(drop))
        .await;
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.map(leader).status().term, term, "pre-vote keeps the term");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_closes_hands_over_and_no_write_fails() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let writer = cluster.map(cluster.others(leader)[0]).clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writes = tokio::spawn(async move {
        let mut stopped = stopped;
        let mut written = 0;
        while stopped.try_recv().is_err() {
            writer.put(format!("k{written}"), "v").await.expect("no write fails");
            written += 1;
        }
        written
    });
    cluster.close(leader).await;
    let rest = cluster.others(leader);
    cluster.leader_among(&rest).await;
    cluster.open(leader).await.wait_ready(PATIENCE).await.unwrap();
    stop.send(()).unwrap();
    let written = writes.await.unwrap();
    assert!(written > 0);
    for write in 0..written {
        assert!(cluster.map(leader).get(format!("k{write}")).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_blocks_its_own_runtime_for_5_s_causes_no_election() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let term = cluster.map(leader).status().term;
    let map = cluster.map(leader).clone();
    // A host with one thread, which it blocks while it holds a map.
    let host = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            map.put("host", "1").await.unwrap();
            let (_keep, never) = std::sync::mpsc::channel::<()>();
            never.recv_timeout(Duration::from_secs(5)).expect_err("nobody sends");
            map.put("host", "2").await.unwrap();
        });
    });
    tokio::task::spawn_blocking(move || host.join().unwrap()).await.unwrap();
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.map(leader).status().term, term);
    assert_eq!(cluster.map(leader).get("host").await.unwrap().unwrap(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_is_restarted_right_behind_its_first_promotion_keeps_the_lease_that_it_confirmed()
 {
    let timeout = Duration::from_millis(700);
    let mut cluster =
        Cluster::found_with(1, 2, move |_, config| config.election_timeout(timeout)).await;
    for node in 1..3 {
        cluster.open(node).await;
    }
    cluster.wait_voters(0, &[0, 1, 2]).await;
    assert_eq!(cluster.leader().await, 0);
    // Returns once the change is ended: while it is joint, nobody is elected without node 0.
    cluster.map(0).promote("n2").await.unwrap();
    cluster.map(0).put("k", "v").await.unwrap();
    for node in 1..3 {
        cluster.wait_local(node, "k", "v").await;
    }
    // Node 2 would lead at once if it could: only the restarted one stands in its way.
    cluster.isolate(&[2]);
    eventually("node 2 has lost its leader", async || {
        cluster.map(2).status().leader.is_none().then_some(())
    })
    .await;
    cluster.close(1).await;
    let begin = Instant::now();
    cluster.network.heal();
    cluster.isolate(&[0]);
    cluster.open(1).await;
    cluster.leader_among(&[1, 2]).await;
    let held = begin.elapsed();
    assert!(held >= 2 * timeout, "it voted after {held:?}");
}
