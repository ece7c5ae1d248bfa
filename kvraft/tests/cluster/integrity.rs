//! Members that compare their states, and one whose state is wrong.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kvraft::{
    Consistency, ErrorKind, KeyRange, ReadOptions, ReplicatedMap, Verdict, WatchEvent, WatchOptions,
};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};

/// What stands in front of a value in a stored record: version, checksum, three numbers.
const HEADER: usize = 1 + 4 + 24;

/// Writes another value of the same length into the files of a stopped node, under a checksum that is
/// right: what a bit that flips in memory before the checksum is made leaves on the disk.
fn forge(data_dir: &Path, key: &str, (old, new): (&str, &str)) {
    let mut forged = 0;
    for generation in fs::read_dir(data_dir.join("state")).unwrap() {
        let file = generation.unwrap().path().join("data.mdb");
        let mut content = fs::read(&file).unwrap();
        let value = old.as_bytes();
        let places = content.windows(value.len()).enumerate();
        let places: Vec<_> =
            places.filter(|(_, found)| *found == value).map(|(at, _)| at).collect();
        for at in places {
            content[at..at + new.len()].copy_from_slice(new.as_bytes());
            let body = at - 24..at + value.len();
            let crc = crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), &content[body]);
            content[at - HEADER + 1..at - 24].copy_from_slice(&crc.to_be_bytes());
            forged += 1;
        }
        fs::write(&file, content).unwrap();
    }
    assert!(forged > 0, "the value is on the disk");
}

const RIGHT: &str = "what every member of this cluster has under one key: right";
const WRONG: &str = "what every member of this cluster has under one key: wrong";

fn local() -> ReadOptions {
    ReadOptions::new().consistency(Consistency::Local)
}

/// Has one member hold another value than the others, and its state's hash show it.
async fn diverge(cluster: &mut Cluster, node: usize) {
    let other = cluster.others(node)[0];
    cluster.map(other).put("k", RIGHT).await.unwrap();
    cluster.wait_local(node, "k", RIGHT).await;
    cluster.close(node).await;
    forge(&cluster.path(node), "k", (RIGHT, WRONG));
    cluster.open(node).await.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(cluster.map(node).get("k").await.unwrap().unwrap(), WRONG, "it does not know");
    // The hash is kept change by change: it takes in what was there before.
    cluster.map(other).put("k", "another").await.unwrap();
    cluster.wait_local(node, "k", "another").await;
}

/// Waits until a node is in service again, with nothing wrong.
async fn wait_sound(map: &ReplicatedMap) {
    map.wait_ready(PATIENCE).await.unwrap();
    eventually("nothing is wrong", async || map.status().divergence.is_none().then_some(())).await;
}

fn state_hash(map: &ReplicatedMap, revision: u64) -> Option<String> {
    let status = map.status();
    (status.revision == revision).then_some(status.state_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_applied_the_same_agree_whoever_asks() {
    let cluster = Cluster::start(3).await;
    cluster.map(0).put("k", "v").await.unwrap();
    let client = cluster.connect(&[1]).await;
    for map in [cluster.map(0), cluster.map(2), &client] {
        let verification = map.verify().await.unwrap();
        assert_eq!(verification.verdict(), Verdict::Agreed, "{verification:?}");
        let names: Vec<_> = verification.members.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["n0", "n1", "n2"]);
        assert!(verification.members.iter().all(|m| m.voter && m.state_hash.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_does_not_answer_is_named_with_the_reason() {
    let mut cluster = Cluster::start(3).await;
    cluster.leader().await;
    cluster.close(2).await;
    let verification = cluster.map(0).verify().await.unwrap();
    assert_eq!(verification.verdict(), Verdict::Agreed, "{verification:?}");
    let gone = &verification.members[2];
    assert_eq!((gone.name.as_str(), &gone.state_hash), ("n2", &None));
    assert!(gone.failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_whose_state_is_wrong_fetches_that_of_the_majority() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let wrong = cluster.others(leader)[0];
    diverge(&mut cluster, wrong).await;
    let id = cluster.map(wrong).status().node_id;
    let watch = cluster.map(wrong).watch(KeyRange::all(), WatchOptions::new()).await;
    let mut watch = watch.unwrap();

    let verification = cluster.map(leader).verify().await.unwrap();
    assert_eq!(verification.verdict(), Verdict::Diverged, "{verification:?}");
    let names: Vec<_> = verification.diverged().map(|member| member.name.clone()).collect();
    assert_eq!(names, [format!("n{wrong}")]);

    // Who watched there has to look anew: what it was told may have been wrong.
    let told = tokio::time::timeout(PATIENCE, async {
        loop {
            match futures_util::StreamExt::next(&mut watch).await.unwrap() {
                Ok(WatchEvent::Changes { .. }) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => return error.kind(),
            }
        }
    });
    assert_eq!(told.await.unwrap(), ErrorKind::Compacted);
    wait_sound(cluster.map(wrong)).await;
    assert_eq!(cluster.map(wrong).status().node_id, id, "its log and its votes are the same");
    let revision = cluster.map(leader).put("k", "after").await.unwrap();
    cluster.wait_local(wrong, "k", "after").await;
    let hashes = [wrong, leader].map(|node| state_hash(cluster.map(node), revision));
    assert!(hashes[0].is_some() && hashes[0] == hashes[1], "{hashes:?}");
    assert_eq!(cluster.map(wrong).verify().await.unwrap().verdict(), Verdict::Agreed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_state_is_wrong_hands_over_and_no_write_fails() {
    let mut cluster = Cluster::start(3).await;
    cluster.leader().await;
    diverge(&mut cluster, 1).await;
    cluster.map(0).transfer_leadership(Some("n1")).await.unwrap();
    assert_eq!(cluster.leader().await, 1);
    let writer = cluster.map(2).clone();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let writing = tokio::spawn(async move {
        let mut written = 0;
        while stopped.try_recv().is_err() {
            writer.increment("written", 1).await.unwrap();
            written += 1;
        }
        written
    });
    let verification = cluster.map(2).verify().await.unwrap();
    assert_eq!(verification.verdict(), Verdict::Diverged, "{verification:?}");
    eventually("another node leads", async || {
        let leader = cluster.map(2).status().leader;
        leader.is_some_and(|name| name != "n1").then_some(())
    })
    .await;
    wait_sound(cluster.map(1)).await;
    stop.send(()).unwrap();
    let written = writing.await.unwrap();
    let read = cluster.map(1).get("written").await.unwrap().unwrap();
    assert_eq!(read, format!("{written}"));
    assert_eq!(cluster.map(1).verify().await.unwrap().verdict(), Verdict::Agreed);
    let client = cluster.connect(&[0]).await;
    assert_kind(client.refill().await, &[ErrorKind::Refused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_there_is_an_alarm_and_nobody_is_taken_out() {
    let mut cluster = Cluster::start(2).await;
    cluster.leader().await;
    diverge(&mut cluster, 1).await;
    let verification = cluster.map(0).verify().await.unwrap();
    assert_eq!(verification.verdict(), Verdict::Split, "{verification:?}");
    for node in 0..2 {
        let map = cluster.map(node);
        eventually("each raises the alarm", async || map.status().divergence).await;
        assert!(map.status().ready);
        assert_eq!(map.get("k").await.unwrap().unwrap(), "another");
    }
    // Somebody looks who is right, and says so.
    cluster.map(1).refill().await.unwrap();
    wait_sound(cluster.map(1)).await;
    assert_eq!(cluster.map(0).verify().await.unwrap().verdict(), Verdict::Agreed);
    wait_sound(cluster.map(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_out_serves_no_reads_over_a_restart_until_it_has_fetched_its_state() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let out = cluster.others(leader)[0];
    cluster.map(leader).put("k", "v").await.unwrap();
    cluster.wait_local(out, "k", "v").await;
    cluster.isolate(&[out]);
    let refilling = tokio::spawn({
        let map = cluster.map(out).clone();
        async move { map.refill().await }
    });
    let refused = async |cluster: &Cluster| {
        eventually("it refuses to read", async || {
            cluster.map(out).get_with("k", local()).await.err()
        })
        .await
    };
    assert_eq!(refused(&cluster).await.kind(), ErrorKind::Unavailable);
    assert!(cluster.map(out).status().divergence.is_some());
    cluster.close(out).await;
    assert_kind(refilling.await.unwrap(), &[ErrorKind::Closed]);
    let map = cluster.open(out).await;
    assert_kind(map.get_with("k", local()).await, &[ErrorKind::Unavailable]);
    assert_kind(map.wait_ready(Duration::from_millis(50)).await, &[ErrorKind::Unavailable]);

    cluster.network.heal();
    wait_sound(&map).await;
    assert_eq!(map.get_with("k", local()).await.unwrap().unwrap().value, "v");
    cluster.close(out).await;
    let map = cluster.open(out).await;
    wait_sound(&map).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_members_are_told_to_fetch_their_states_none_is_lost_and_writes_go_on() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    cluster.map(leader).put("k", "v").await.unwrap();
    let maps = [0, 1, 2].map(|node| cluster.map(node).clone());
    let refilled = tokio::join!(maps[0].refill(), maps[1].refill(), maps[2].refill());
    for result in [refilled.0, refilled.1, refilled.2] {
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
    }
    for map in &maps {
        eventually("it takes a write", async || map.put("k", "after").await.ok()).await;
    }
    assert_eq!(cluster.map(leader).verify().await.unwrap().verdict(), Verdict::Agreed);
    for map in &maps {
        wait_sound(map).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refills_that_are_asked_for_again_and_again_leave_no_note_behind() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let node = cluster.others(leader)[0];
    let map = cluster.map(node).clone();
    for _ in 0..5 {
        let (first, second) = tokio::join!(map.refill(), map.refill());
        first.unwrap();
        second.unwrap();
    }
    wait_sound(&map).await;
    cluster.close(node).await;
    cluster.isolate(&[node]);
    // A note would hold it out: cut off, it could not fetch anything.
    assert_eq!(cluster.open(node).await.status().divergence, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_voter_refuses_to_fetch_its_state_from_a_learner() {
    let mut cluster = Cluster::prepare(2, |_, config| config.auto_promote(false));
    cluster.founders = 1;
    for node in 0..2 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    assert_kind(cluster.map(0).refill().await, &[ErrorKind::Refused]);
    cluster.map(0).put("k", "v").await.unwrap();
    // A learner has the voter to fetch from.
    cluster.map(1).refill().await.unwrap();
    cluster.wait_local(1, "k", "v").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_voter_that_is_out_leads_if_nobody_else_can_and_hands_over() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let [out, behind] = cluster.others(leader)[..] else { panic!("three members") };
    cluster.isolate(&[behind]);
    cluster.map(leader).put("k", "acknowledged").await.unwrap();
    cluster.close(leader).await;
    // Its log is the newest of those that are left, so that it can vote for nobody else.
    let refilling = tokio::spawn({
        let map = cluster.map(out).clone();
        async move { map.refill().await }
    });
    eventually("it is out", async || cluster.map(out).status().divergence).await;
    cluster.network.heal();
    refilling.await.unwrap().unwrap();
    wait_sound(cluster.map(out)).await;
    assert_eq!(cluster.map(behind).get("k").await.unwrap().unwrap(), "acknowledged");
    cluster.map(behind).put("k", "after").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_fetched_though_the_leader_has_purged_what_the_node_needs() {
    // Longer on its way than a refill that failed pauses, and than a leader waits with the next try.
    let cluster = Cluster::start_with(3, |_, config| {
        config.log_keep_bytes(64 << 10).snapshot_bytes_per_second(2 << 20)
    });
    let cluster = cluster.await;
    let leader = cluster.leader().await;
    let node = cluster.others(leader)[0];
    let value = vec![b'x'; 1 << 20];
    for n in 0..10 {
        cluster.map(leader).put(format!("k{n}"), &value).await.unwrap();
    }
    cluster.isolate(&[node]);
    let refilling = tokio::spawn({
        let map = cluster.map(node).clone();
        async move { map.refill().await }
    });
    let last_seen = cluster.map(node).status().last_log;
    eventually("the others have purged what it needs", async || {
        let purged = |node| cluster.map(node).status().first_log > last_seen + 1;
        cluster.map(leader).put("k", &value[..32 << 10]).await.unwrap();
        cluster.others(node).into_iter().all(purged).then_some(())
    })
    .await;
    cluster.map(leader).put("end", "v").await.unwrap();
    cluster.network.heal();
    refilling.await.unwrap().unwrap();
    wait_sound(cluster.map(node)).await;
    cluster.wait_local(node, "end", "v").await;
}
