//! Addresses at which nobody answers, or somebody who is not let in.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kvraft::{Config, ErrorKind, Insecure, ReplicatedMap};
use tempfile::TempDir;

use crate::assert_says;
use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};

#[tokio::test]
async fn a_taken_listen_address_is_told_and_leaves_the_directory_free() {
    let dir = TempDir::new().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = Config::new(dir.path()).insecure(Insecure::Loopback);
    let error = ReplicatedMap::open(config.clone().listen(&address)).await.expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_says(&error.to_string(), &[&address, "UDP", "choose a free address"]);

    let map = ReplicatedMap::open(config.listen("127.0.0.1:0")).await.unwrap();
    map.wait_ready(PATIENCE).await.unwrap();
    map.put("k", "v").await.unwrap();
    map.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_cannot_be_reached_is_named_with_its_address_and_holds_nothing_up() {
    // Bound, so that nobody else answers there, and never read.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|address| address.to_string()).unwrap();
    for address in ["no.such.host.invalid:7001".to_owned(), silent] {
        let reached = address.clone();
        let mut cluster = Cluster::prepare(1, move |_, config| {
            let own = ("n0".to_owned(), "127.0.0.1:7001".to_owned());
            config.members([own, ("n1".to_owned(), reached.clone())])
        });
        let map = cluster.open(0).await;
        eventually("the node says whom it cannot reach", async || {
            let error = map.wait_ready(Duration::from_millis(50)).await.expect_err("alone");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            error.to_string().contains(&format!("n1 at {address}")).then_some(())
        })
        .await;
        let short = kvraft::WriteOptions::new().timeout(Duration::from_millis(50));
        assert_kind(map.put_with("k", "v", short).await, &[ErrorKind::Unavailable]);
        let start = Instant::now();
        cluster.close(0).await;
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_secret_is_told_that_it_is_unauthorized_and_the_others_go_on() {
    let stranger = Arc::new(AtomicUsize::new(usize::MAX));
    let strange = Arc::clone(&stranger);
    let mut cluster = Cluster::start_with(3, move |node, config| {
        let letter = if node == strange.load(Ordering::Relaxed) { "x" } else { "a" };
        config.insecure(Insecure::No).cluster_secret(letter.repeat(64))
    })
    .await;
    let node = cluster.others(cluster.leader().await)[0];
    stranger.store(node, Ordering::Relaxed);
    cluster.close(node).await;
    let map = cluster.open(node).await;
    eventually("the node says why it finds no leader", async || {
        let error = map.wait_ready(Duration::from_millis(50)).await.expect_err("a stranger");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        let text = error.to_string();
        (text.contains("unauthorized") && text.contains("same cluster secret")).then_some(())
    })
    .await;

    let rest = cluster.others(node);
    cluster.leader_among(&rest).await;
    cluster.map(rest[0]).put("k", "v").await.unwrap();
    assert_eq!(cluster.map(rest[1]).get("k").await.unwrap().unwrap(), "v");
    stranger.store(usize::MAX, Ordering::Relaxed);
    cluster.close(node).await;
    cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(node).get("k").await.unwrap().unwrap(), "v");
}
