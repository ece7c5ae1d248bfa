//! The membership while it changes: joining, promotion, wiped disks, removal, new addresses.

use std::time::Duration;

use kvraft::{Consistency, ErrorKind, KeyRange, ReadOptions, Role, ScanOptions, WriteOptions};

use crate::harness::{Cluster, PATIENCE, assert_kind, eventually};

fn patient() -> WriteOptions {
    WriteOptions::new().timeout(Duration::from_secs(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joins_catches_up_and_becomes_a_voter_by_itself() {
    let mut cluster = Cluster::found(1, 2).await;
    cluster.map(0).put("before", "1").await.unwrap();
    for node in 1..3 {
        cluster.open(node).await;
    }
    cluster.wait_voters(0, &[0, 1, 2]).await;
    cluster.wait_all_ready().await;
    assert_eq!(cluster.map(2).get("before").await.unwrap().unwrap(), "1");
    cluster.map(1).put("after", "2").await.unwrap();
    // Two of the three are enough now, whichever they are.
    cluster.close(0).await;
    cluster.map(2).put_with("after", "3", patient()).await.unwrap();
    assert_eq!(cluster.map(1).get("after").await.unwrap().unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_serves_reads_and_gets_its_vote_and_loses_it_when_somebody_says_so() {
    let mut cluster = Cluster::found_with(3, 1, |_, config| config.auto_promote(false)).await;
    let revision = cluster.map(0).put("k", "v").await.unwrap();
    let learner = cluster.open(3).await;
    assert_eq!(learner.get("k").await.unwrap().unwrap(), "v");
    let local = ReadOptions::new().consistency(Consistency::Local).min_revision(revision);
    assert_eq!(learner.get_with("k", local).await.unwrap().unwrap().value, "v");
    learner.put("k", "by the learner").await.unwrap();
    assert_eq!(learner.status().role, Role::Learner);
    cluster.wait_voters(3, &[0, 1, 2]).await;
    // Any member takes the call, and asking twice is asking once.
    for _ in 0..2 {
        cluster.map(1).promote("n3").await.unwrap();
    }
    cluster.wait_voters(3, &[0, 1, 2, 3]).await;
    for _ in 0..2 {
        learner.demote("n3").await.unwrap();
    }
    // One that is down would be a voter that the others have to make up for.
    cluster.close(3).await;
    let error = cluster.map(0).promote("n3").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("not heard"), "{error}");
    let learner = cluster.open(3).await;
    learner.wait_ready(PATIENCE).await.unwrap();
    cluster.wait_voters(3, &[0, 1, 2]).await;
    for _ in 0..2 {
        let removed = cluster.map(0).remove_member("n3").await;
        if let Err(error) = removed {
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.message().contains("n3") && error.message().contains("n0, n1, n2"));
        }
    }
    eventually("the learner knows that it is gone", async || {
        learner.status().failure.filter(|error| error.kind() == ErrorKind::Refused)
    })
    .await;
    assert_kind(learner.get("k").await, &[ErrorKind::Refused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hears_only_from_one_who_missed_its_joining_goes_on_waiting() {
    let mut cluster = Cluster::found_with(3, 1, |_, config| config.auto_promote(false)).await;
    let leader = cluster.leader().await;
    let rest: Vec<_> = (0..3).filter(|node| *node != leader).collect();
    let at = |node: usize| cluster.address(node);
    let (majority, lags) = ([at(leader), at(rest[0])], [at(rest[1])]);
    cluster.network.cut(&lags, &majority);
    let learner = cluster.open(3).await;
    learner.wait_ready(PATIENCE).await.unwrap();
    cluster.network.cut(&[cluster.address(3)], &majority);
    eventually("the learner has lost its leader", async || {
        learner.status().leader.is_none().then_some(())
    })
    .await;
    // Long enough to ask all, two of whom do not answer, and the third never heard of it.
    let short = ReadOptions::new().timeout(Duration::from_secs(7));
    assert_kind(learner.get_with("k", short).await, &[ErrorKind::Unavailable]);
    cluster.network.heal();
    let patient = ReadOptions::new().timeout(Duration::from_secs(20));
    assert_eq!(learner.get_with("k", patient).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_would_lose_the_quorum_is_refused_by_name() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let others = cluster.others(leader);
    cluster.close(others[0]).await;
    let map = cluster.map(leader);
    let dead = format!("n{}", others[0]);
    let alive = format!("n{}", others[1]);
    eventually("the silence is noticed", async || {
        let error = map.remove_member(&alive).await.err()?;
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        (error.message().contains("quorum") && error.message().contains(&dead)).then_some(())
    })
    .await;
    // The dead one may go, and then the other.
    map.remove_member(&dead).await.unwrap();
    map.put("k", "v").await.unwrap();
    map.remove_member(&alive).await.unwrap();
    let last = format!("n{leader}");
    assert_kind(map.remove_member(&last).await, &[ErrorKind::Refused]);
    assert_kind(map.demote(&last).await, &[ErrorKind::Refused]);
    assert_kind(map.transfer_leadership(None).await, &[ErrorKind::Refused]);
    assert_kind(map.shrink(0).await, &[ErrorKind::InvalidArgument]);
    assert_eq!(map.get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_where_it_is_told_and_no_write_fails_meanwhile() {
    let cluster = Cluster::start(3).await;
    let writer = cluster.map(0).clone();
    let writing = tokio::spawn(async move {
        for _ in 0..200 {
            writer.increment("n", 1).await.unwrap();
        }
    });
    for _ in 0..3 {
        let leader = cluster.leader().await;
        let heir = cluster.others(leader)[0];
        let name = format!("n{heir}");
        cluster.map(leader).transfer_leadership(Some(&name)).await.unwrap();
        assert_eq!(cluster.leader().await, heir);
        cluster.map(leader).transfer_leadership(Some(&name)).await.unwrap();
    }
    let leader = cluster.leader().await;
    cluster.map(leader).transfer_leadership(None).await.unwrap();
    assert_ne!(cluster.leader().await, leader);
    assert_kind(cluster.map(0).transfer_leadership(Some("x")).await, &[ErrorKind::Refused]);
    writing.await.unwrap();
    assert_eq!(cluster.map(1).get("n").await.unwrap().unwrap(), "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_over_first_and_learns_that_it_is_gone() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let gone = cluster.map(leader).clone();
    cluster.map(rest[0]).remove_member(format!("n{leader}")).await.unwrap();
    cluster.wait_voters(rest[0], &rest).await;
    cluster.map(rest[1]).put_with("k", "v", patient()).await.unwrap();
    eventually("the former leader knows", async || gone.status().failure).await;
    assert_kind(gone.put("k", "w").await, &[ErrorKind::Refused]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_removed_joins_again_once_its_directory_is_set_aside() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let gone = cluster.others(leader)[0];
    let (name, old_id) = (format!("n{gone}"), cluster.map(gone).status().node_id);
    let path = cluster.path(gone);
    cluster.map(leader).put("k", "v").await.unwrap();
    assert!(!kvraft::is_removed(&path).unwrap());
    cluster.map(leader).remove_member(&name).await.unwrap();
    eventually("it knows", async || cluster.map(gone).status().failure).await;
    assert!(kvraft::is_removed(&path).unwrap());
    assert_kind(kvraft::set_aside(&path), &[ErrorKind::Refused]);
    cluster.close(gone).await;

    let aside = kvraft::set_aside(&path).unwrap();
    assert!(aside.damage.is_empty() && !path.exists() && kvraft::is_removed(&aside.path).unwrap());
    let map = cluster.open(gone).await;
    assert_ne!(map.status().node_id, old_id);
    cluster.wait_voters(leader, &[0, 1, 2]).await;
    assert_eq!(map.get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_voter_comes_back_as_another_node_and_forgets_nothing() {
    let mut cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let (wiped, lags) = (cluster.others(leader)[0], cluster.others(leader)[1]);
    let old_id = cluster.map(wiped).status().node_id;
    // Committed by the leader and the one that is wiped then: the third knows nothing of it.
    cluster.isolate(&[lags]);
    cluster.map(leader).put_with("k", "acknowledged", patient()).await.unwrap();
    cluster.close(wiped).await;
    cluster.wipe(wiped);
    cluster.network.heal();
    let map = cluster.open(wiped).await;
    assert_ne!(map.status().node_id, old_id);
    eventually("the new disk has taken the place of the old one", async || {
        let members = cluster.map(leader).status().members;
        let voters: Vec<_> = members.iter().filter(|m| m.voter).collect();
        let new = voters.iter().any(|m| m.node_id == map.status().node_id);
        (members.len() == 3 && voters.len() == 3 && new).then_some(())
    })
    .await;
    let read = map.get_with("k", ReadOptions::new().timeout(Duration::from_secs(20))).await;
    assert_eq!(read.unwrap().unwrap().value, "acknowledged");
    // A demotion holds, though the disk came to its vote by itself.
    let name = format!("n{wiped}");
    cluster.map(leader).demote(&name).await.unwrap();
    let ended = patient().ttl(Duration::from_secs(2));
    cluster.map(leader).put_with("a while", "", ended).await.unwrap();
    eventually("a while has passed", async || {
        cluster.map(leader).get("a while").await.unwrap().is_none().then_some(())
    })
    .await;
    let votes = |name: &str| {
        let members = cluster.map(leader).status().members;
        members.iter().any(|member| member.name == name && member.voter)
    };
    assert!(!votes(&name));
    cluster.map(leader).promote(&name).await.unwrap();
    assert!(votes(&name));
    cluster.close(leader).await;
    map.put_with("k", "goes on", patient()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_node_of_a_name_that_is_alive_is_told_that_it_is_in_use() {
    let mut cluster = Cluster::found_with(
        1,
        1,
        |node, config| {
            if node == 1 { config.name("n0") } else { config }
        },
    )
    .await;
    let twin = cluster.open(1).await;
    let why = eventually("the twin is refused", async || twin.status().failure).await;
    assert_eq!(why.kind(), ErrorKind::Refused);
    assert!(why.message().contains("name in use"), "{why}");
    assert_eq!(cluster.map(0).status().members.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_disks_of_one_name_that_join_at_once_one_has_the_name_and_the_other_says_why_not() {
    let mut cluster =
        Cluster::found_with(
            1,
            2,
            |node, config| {
                if node == 0 { config } else { config.name("twin") }
            },
        )
        .await;
    let twins = [cluster.open(1).await, cluster.open(2).await];
    let ids = twins.each_ref().map(|twin| twin.status().node_id);
    let member = eventually("one of them votes", async || {
        let members = cluster.map(0).status().members;
        let twin = members.into_iter().find(|member| member.name == "twin" && member.voter)?;
        ids.iter().position(|id| *id == twin.node_id)
    })
    .await;
    let other = &twins[1 - member];
    eventually("the other says why it waits", async || {
        let error = other.wait_ready(Duration::from_millis(50)).await.unwrap_err();
        (error.message().contains("name in use") && error.message().contains("twin")).then_some(())
    })
    .await;
    assert_eq!(cluster.map(0).status().members.len(), 2);
    twins[member].put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn three_become_five_and_one_and_three_again_and_no_increment_is_lost_or_doubled() {
    let mut cluster = Cluster::found(3, 2).await;
    let writer = cluster.map(0).clone();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writing = tokio::spawn({
        let stop = stop.clone();
        async move {
            let mut count = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                writer.increment_with("n", 1, patient()).await.unwrap();
                count += 1;
            }
            count
        }
    });
    for node in 3..5 {
        cluster.open(node).await;
    }
    cluster.wait_voters(0, &[0, 1, 2, 3, 4]).await;
    cluster.map(4).shrink(1).await.unwrap();
    cluster.wait_voters(0, &[0]).await;
    for node in 1..3 {
        cluster.close(node).await;
        cluster.wipe(node);
        cluster.open(node).await;
    }
    cluster.wait_voters(0, &[0, 1, 2]).await;
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    let count = writing.await.unwrap();
    assert!(count > 10, "{count}");
    for node in 0..3 {
        let read = ReadOptions::new().timeout(Duration::from_secs(20));
        let value = cluster.map(node).get_with("n", read).await.unwrap().unwrap().value;
        assert_eq!(value, count.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_all_change_their_addresses_at_once_find_each_other() {
    let mut cluster = Cluster::start(3).await;
    cluster.map(0).put("k", "v").await.unwrap();
    for node in 0..3 {
        cluster.close(node).await;
        cluster.readdress(node);
    }
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    assert_eq!(cluster.map(1).get("k").await.unwrap().unwrap(), "v");
    eventually("the records are the new ones", async || {
        let members = cluster.map(0).status().members;
        let new = (0..3).all(|node| members[node].address == cluster.address(node).to_string());
        new.then_some(())
    })
    .await;
    // One alone changes too, while the others run.
    cluster.close(2).await;
    cluster.readdress(2);
    cluster.open(2).await;
    let page = cluster.map(2).page(KeyRange::all(), ScanOptions::new()).await.unwrap();
    assert_eq!(page.entries.len(), 1);
}

const EVERYONE: &str = "everyone.test:7001";

/// Clusters whose nodes are given no list, but a name that stands for all.
async fn discovered(size: usize, expect: u32) -> Cluster {
    let cluster = Cluster::prepare(size, move |_, config| {
        let config = config.members(Vec::<(String, String)>::new());
        config.bootstrap_expect(expect).discover_dns(EVERYONE)
    });
    let addresses: Vec<_> = (0..size).map(|node| cluster.address(node)).collect();
    cluster.network.name(EVERYONE, &addresses);
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_know_only_a_name_found_one_cluster_and_later_ones_join_it() {
    let mut cluster = discovered(4, 3).await;
    for node in 0..2 {
        cluster.open(node).await;
    }
    eventually("two wait for a third", async || {
        let error = cluster.map(0).put("k", "too early").await.err()?;
        error.message().contains("waiting for 3 nodes").then_some(())
    })
    .await;
    cluster.open(2).await;
    cluster.wait_all_ready().await;
    cluster.wait_voters(0, &[0, 1, 2]).await;
    cluster.open(3).await;
    cluster.wait_voters(3, &[0, 1, 2, 3]).await;
    cluster.map(3).put("k", "v").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_whom_two_groups_could_found_a_cluster_each_wait_and_say_so() {
    let mut cluster = discovered(4, 2).await;
    let all: Vec<_> = (0..4).map(|node| cluster.address(node)).collect();
    cluster.network.name(EVERYONE, &[]);
    for node in 0..4 {
        cluster.open(node).await;
    }
    cluster.network.name(EVERYONE, &all);
    for node in 0..4 {
        eventually("it says what is wrong", async || {
            let waits = cluster.map(node).wait_ready(Duration::from_millis(50)).await;
            waits.unwrap_err().message().contains("bootstrap_expect is 2").then_some(())
        })
        .await;
    }
    for node in 2..4 {
        cluster.close(node).await;
    }
    cluster.wait_all_ready().await;
    for node in 2..4 {
        cluster.open(node).await;
    }
    cluster.wait_voters(0, &[0, 1, 2, 3]).await;
    let mut cluster = discovered(5, 3).await;
    for node in 0..5 {
        cluster.open(node).await;
    }
    // Any two groups of three have a node in common.
    cluster.wait_all_ready().await;
    cluster.wait_voters(4, &[0, 1, 2, 3, 4]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_all_move_at_once_find_each_other_by_their_name() {
    let mut cluster = discovered(3, 3).await;
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    cluster.map(0).put("k", "v").await.unwrap();
    for node in 0..3 {
        cluster.close(node).await;
        cluster.readdress(node);
    }
    let addresses: Vec<_> = (0..3).map(|node| cluster.address(node)).collect();
    cluster.network.name(EVERYONE, &addresses);
    for node in 0..3 {
        cluster.open(node).await;
    }
    cluster.wait_all_ready().await;
    assert_eq!(cluster.map(2).get("k").await.unwrap().unwrap(), "v");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_changes_the_membership_too() {
    let mut cluster = Cluster::found(1, 1).await;
    let client = cluster.connect(&[0]).await;
    cluster.open(1).await;
    cluster.wait_voters(0, &[0, 1]).await;
    client.transfer_leadership(Some("n1")).await.unwrap();
    client.remove_member("n0").await.unwrap();
    cluster.wait_voters(1, &[1]).await;
    client.put_with("k", "v", patient()).await.unwrap();
    assert_eq!(cluster.map(1).get("k").await.unwrap().unwrap(), "v");
}
