//! Releases beside each other: what an older one speaks, when the format is raised, who is refused.

use std::time::Duration;

use futures_util::StreamExt as _;
use kvraft::environment::{Protocols, Versions};
use kvraft::{
    Config, ErrorKind, Insecure, KeyRange, ReadOptions, ReplicatedMap, ScanOptions, WatchOptions,
};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};
use crate::rolling::Load;

/// What the release before this one speaks: protocol 1, whose frames are frozen.
const BEFORE: Protocols = Protocols { oldest: 1, newest: 1 };

/// Far more than a call takes, on however busy a machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A node that speaks protocol 1 only.
fn before() -> Versions {
    Versions { protocols: BEFORE, ..Versions::default() }
}

/// A node of a release that knows this format.
fn of_format(format_level: u16) -> Versions {
    Versions { format_level, ..Versions::default() }
}

/// Does one of everything that goes from node to node, or from client to member.
async fn use_all(map: &ReplicatedMap, name: &str) {
    let key = format!("k{name}");
    map.put(&key, "1").await.unwrap();
    read_all(map, &key).await;
    assert_eq!(map.increment(&key, 1).await.unwrap(), 2);
    let lock = map.lock(&key, Duration::from_secs(10)).await.unwrap();
    lock.unlock().await.unwrap();
    let mut watch = map.watch(KeyRange::prefix(&key), WatchOptions::new()).await.unwrap();
    map.put(&key, "3").await.unwrap();
    watch.next().await.unwrap().unwrap();
    assert!(map.delete(&key).await.unwrap());
}

async fn read_all(map: &ReplicatedMap, key: &str) {
    assert_eq!(map.get(key).await.unwrap().unwrap(), "1");
    assert!(map.count(KeyRange::all(), ReadOptions::new()).await.unwrap() > 0);
    assert!(!map.page(KeyRange::all(), ScanOptions::new()).await.unwrap().entries.is_empty());
    let scan = map.scan(KeyRange::all(), ScanOptions::new()).await.unwrap();
    assert!(scan.count().await > 0);
}

async fn lead(cluster: &Cluster, node: usize) {
    if cluster.leader().await != node {
        let name = format!("n{node}");
        cluster.map(node).transfer_leadership(Some(&name)).await.unwrap();
        eventually("it leads", async || (cluster.leader().await == node).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_speaks_the_protocol_before_works_among_newer_ones_whoever_leads() {
    let mut cluster = Cluster::prepare(3, |_, config| config);
    cluster.versions[0] = before();
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    let old_client = |nodes: &[usize]| {
        ReplicatedMap::connect(
            cluster.client_config(nodes).environment(cluster.environment(before())),
        )
    };
    for leader in 0..3 {
        lead(&cluster, leader).await;
        for node in 0..3 {
            use_all(cluster.map(node), &format!("m{node}")).await;
        }
        use_all(&cluster.connect(&[0]).await, "new").await;
        use_all(&old_client(&[leader, 2]).await.unwrap(), "old").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_go_between_releases_in_both_directions() {
    let mut cluster = Cluster::prepare(3, |_, config| config.log_keep_bytes(64 << 10));
    cluster.versions[0] = before();
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    for (sends, gets) in [(0, 1), (1, 0)] {
        lead(&cluster, sends).await;
        cluster.map(sends).put("begin", gets.to_string()).await.unwrap();
        cluster.wait_local(gets, "begin", &gets.to_string()).await;
        // While it closes it gets a few entries more.
        let last_seen = cluster.map(gets).status().last_log + 20;
        cluster.close(gets).await;
        let value = vec![b'x'; 16 << 10];
        eventually("the others have purged what it needs", async || {
            cluster.map(sends).put("k", &value).await.unwrap();
            let purged = |node| cluster.map(node).status().first_log > last_seen;
            (purged(sends) && purged(2)).then_some(())
        })
        .await;
        cluster.map(sends).put("end", sends.to_string()).await.unwrap();
        cluster.open(gets).await.wait_ready(PATIENCE).await.unwrap();
        cluster.wait_local(gets, "end", &sends.to_string()).await;
        eventually("it came by snapshot", async || {
            (cluster.map(gets).status().first_log > last_seen).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_fails_while_every_node_is_replaced_by_the_next_release_in_turn() {
    let mut cluster = Cluster::prepare(3, |_, config| config.request_timeout(DEADLINE));
    for node in 0..3 {
        cluster.versions[node] = before();
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    let new = cluster.client_config(&[0, 1, 2]).request_timeout(DEADLINE);
    let old = new.clone().environment(cluster.environment(before()));
    let clients = [ReplicatedMap::connect(old).await, ReplicatedMap::connect(new).await];
    let clients = Load::on(clients.map(Result::unwrap));
    let mut total = 0;
    for node in 0..3 {
        let open = cluster.others(node).into_iter().map(|node| cluster.map(node).clone());
        let members = Load::on(open.collect::<Vec<_>>());
        cluster.close(node).await;
        cluster.versions[node] = Versions::default();
        cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
        total += members.end().await;
    }
    total += clients.end().await;
    for node in 0..3 {
        assert_eq!(cluster.map(node).get("n").await.unwrap().unwrap(), total.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_a_release_that_shares_no_protocol_waits_for_it_and_holds_nothing_up() {
    let mut cluster = Cluster::start(3).await;
    let node = cluster.others(cluster.leader().await)[0];
    cluster.close(node).await;
    let protocols = Protocols { oldest: 90, newest: 91 };
    cluster.versions[node] = Versions { protocols, ..Versions::default() };
    let map = cluster.open(node).await;
    says_why(&map, "speaks kvraft protocols 90 to 91").await;
    assert!(map.status().failure.is_none());

    let (older, short) = (cluster.environment(cluster.versions[node]), Duration::from_secs(1));
    let client = cluster.client_config(&cluster.others(node)).environment(older);
    let client = client.request_timeout(short);
    let error = eventually("a client of that release is refused in time", async || {
        let error = ReplicatedMap::connect(client.clone()).await.expect_err("refused");
        (error.kind() == ErrorKind::Refused).then_some(error)
    })
    .await;
    assert!(error.to_string().contains("speaks kvraft protocols 90 to 91"), "{error}");

    // One that starts beside it does not end either.
    let rest = cluster.others(node);
    let other = rest.into_iter().find(|other| !cluster.map(*other).status().is_leader()).unwrap();
    cluster.close(other).await;
    cluster.open(other).await.wait_ready(PATIENCE).await.unwrap();
    cluster.map(other).put("k", "v").await.unwrap();

    cluster.close(node).await;
    cluster.versions[node] = Versions::default();
    cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(node).get("k").await.unwrap().unwrap(), "v");
}

/// Waits until a node that is not ready says so in these words, and goes on.
async fn says_why(map: &ReplicatedMap, words: &str) {
    eventually("the node says what keeps it from its cluster", async || {
        let error = map.wait_ready(Duration::from_millis(50)).await.expect_err("an obstacle");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        error.to_string().contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_at_a_recorded_address_ends_no_member_that_restarts() {
    let mut cluster = Cluster::start(3).await;
    cluster.map(0).put("k", "v").await.unwrap();
    cluster.close(2).await;
    let dir = tempfile::tempdir().unwrap();
    let environment = cluster.environment(Versions::default());
    let stranger = Config::new(dir.path())
        .name("n2")
        .listen(cluster.address(2).to_string())
        .insecure(Insecure::Loopback)
        .environment(environment);
    let stranger = ReplicatedMap::open(stranger).await.unwrap();
    stranger.wait_ready(PATIENCE).await.unwrap();

    cluster.close(1).await;
    cluster.open(1).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(1).get("k").await.unwrap().unwrap(), "v");
    // Without a majority it says what it has met, and it comes back with its leader.
    cluster.close(0).await;
    cluster.close(1).await;
    let map = cluster.open(1).await;
    says_why(&map, "one of the two has the data directory of another cluster").await;
    assert!(map.status().failure.is_none());
    cluster.open(0).await.wait_ready(PATIENCE).await.unwrap();
    map.wait_ready(PATIENCE).await.unwrap();

    stranger.close().await.unwrap();
    cluster.open(2).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(2).get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_raised_once_every_member_knows_it_and_older_releases_are_refused() {
    let mut cluster = Cluster::prepare(4, |node, config| config.auto_promote(node != 1));
    cluster.founders = 1;
    cluster.versions = [1, 1, 2, 1].map(of_format).to_vec();
    for node in 0..2 {
        cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    }
    cluster.close(0).await;
    cluster.versions[0] = of_format(2);
    cluster.open(0).await.wait_ready(PATIENCE).await.unwrap();
    // Whoever is promoted was seen to by the leader, which looked at the format before.
    cluster.open(2).await.wait_ready(PATIENCE).await.unwrap();
    cluster.wait_voters(0, &[0, 2]).await;
    cluster.map(2).put("k", "v").await.unwrap();
    cluster.wait_local(1, "k", "v").await;
    let level = |node| cluster.map(node).status().format_level;
    assert_eq!([0, 1, 2].map(level), [1; 3], "a learner of the older release counts");

    cluster.close(1).await;
    cluster.versions[1] = of_format(2);
    cluster.open(1).await.wait_ready(PATIENCE).await.unwrap();
    eventually("all write the newer format", async || {
        [0, 1, 2].iter().all(|node| cluster.map(*node).status().format_level == 2).then_some(())
    })
    .await;

    // Neither a new member nor an old one may be of the older release now.
    let late = cluster.open(3).await;
    says_why(&late, "the cluster writes format level 2").await;
    cluster.close(1).await;
    cluster.versions[1] = of_format(1);
    let error = ReplicatedMap::open(cluster.config(1)).await.expect_err("an older release");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    let text = error.to_string();
    assert!(text.contains("format level 2") && text.contains("run a newer one"), "{text}");
    cluster.versions[1] = of_format(2);
    cluster.open(1).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(1).get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn founders_of_two_releases_found_with_the_format_of_the_older_one() {
    let mut cluster = Cluster::prepare(3, |_, config| config);
    cluster.versions = [2, 1, 2].map(of_format).to_vec();
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    cluster.map(0).put("k", "v").await.unwrap();
    assert_eq!(cluster.map(0).status().format_level, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_format_of_the_cluster_does_not_have_is_not_proposed() {
    let mut cluster = Cluster::prepare(1, |_, config| config);
    cluster.versions[0] = of_format(0);
    let map = cluster.open(0).await;
    map.wait_ready(PATIENCE).await.unwrap();
    let last = map.status().last_log;
    assert_kind(map.put("k", "v").await, &[ErrorKind::Refused]);
    let error = cluster.connect(&[0]).await.put("k", "v").await.expect_err("an older format");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("format level 1, and the cluster is at 0"), "{error}");
    assert_eq!(map.status().last_log, last, "nothing was written");
    cluster.close(0).await;
    cluster.versions[0] = Versions::default();
    let map = cluster.open(0).await;
    eventually("the format is raised", async || map.put("k", "v").await.ok()).await;
}
