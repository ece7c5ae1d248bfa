//! Changes of the membership whose leader goes in the middle: the next one ends them.

use std::time::Instant;

use kvraft::{ErrorKind, ReplicatedMap, Result, Role, WriteOptions};
use tokio::task::JoinHandle;

use crate::harness::{Cluster, PATIENCE, eventually};

/// How far a change is when its leader is cut off.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The leader has just been asked.
    Asked,
    /// The leader has the joint membership in its log.
    Joint,
    /// Another voter has it too.
    Replicated,
    /// The leader has the membership in its log that the joint one leads to.
    Uniform,
}

const STEPS: [Step; 4] = [Step::Asked, Step::Joint, Step::Replicated, Step::Uniform];
/// The leader appends the joint membership first, then the one that it leads to.
const ENTRIES: u64 = 2;

/// A cluster of three voters and the learner `n3`, whose vote comes and goes.
struct Changing {
    cluster: Cluster,
}

impl Changing {
    async fn start() -> Self {
        let mut cluster = Cluster::found_with(3, 1, |_, config| config.auto_promote(false)).await;
        cluster.open(3).await;
        eventually("the learner is recorded", async || {
            (cluster.map(0).status().members.len() == 4).then_some(())
        })
        .await;
        cluster.map(3).wait_ready(PATIENCE).await.unwrap();
        Self { cluster }
    }

    /// Asks for a change through a follower, cuts the leader off at that step, and brings it back
    /// once another leads.
    async fn change_and_cut(&self, promote: bool, step: Step) -> Result<()> {
        let leader = self.cluster.leader().await;
        let rest = self.cluster.others(leader);
        let other = rest[0];
        let begun = self.cluster.map(leader).status().last_log;
        let asked = self.ask(self.cluster.map(other).clone(), promote);
        let deadline = Instant::now() + PATIENCE;
        let is_there = || match step {
            Step::Asked => true,
            Step::Joint => self.cluster.map(leader).status().last_log > begun,
            Step::Replicated => self.cluster.map(other).status().last_log > begun,
            Step::Uniform => self.cluster.map(leader).status().last_log >= begun + ENTRIES,
        };
        // The step is over in less than a millisecond: look without a pause.
        while !is_there() && !asked.is_finished() {
            assert!(Instant::now() < deadline, "the change never came to {step:?}");
            tokio::task::yield_now().await;
        }
        self.cluster.isolate(&[leader]);
        let next = self.cluster.leader_among(&rest).await;
        self.cluster.network.heal();
        assert_ne!(next, leader);
        asked.await.unwrap()
    }

    fn ask(&self, map: ReplicatedMap, promote: bool) -> JoinHandle<Result<()>> {
        tokio::spawn(async move {
            if promote { map.promote("n3").await } else { map.demote("n3").await }
        })
    }

    /// Asks again until it is done: a refusal passes with what it tells of.
    async fn ask_again(&self, promote: bool) {
        eventually("asking again succeeds", async || {
            let asked = self.ask(self.cluster.map(1).clone(), promote).await.unwrap();
            assert!(asked.as_ref().err().is_none_or(is_documented), "{asked:?}");
            asked.ok()
        })
        .await;
        let voters: &[usize] = if promote { &[0, 1, 2, 3] } else { &[0, 1, 2] };
        for node in 0..4 {
            self.cluster.wait_voters(node, voters).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_disk_whose_leader_is_cut_off_takes_the_place_of_the_old_one_all_the_same() {
    let mut cluster = Cluster::start(5).await;
    let leader = cluster.leader().await;
    let rest = cluster.others(leader);
    let (wiped, other) = (rest[0], rest[1]);
    cluster.close(wiped).await;
    cluster.wipe(wiped);
    let new = cluster.open(wiped).await.status().node_id;
    // The old disk and the new one vote both while the membership is joint.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let members = cluster.map(other).status().members;
        if members.iter().any(|member| member.node_id == new && member.voter) {
            break;
        }
        assert!(Instant::now() < deadline, "the old disk is not replaced");
        tokio::task::yield_now().await;
    }
    cluster.isolate(&[leader]);
    cluster.leader_among(&rest).await;
    eventually("the old disk is no member any more", async || {
        let members = cluster.map(other).status().members;
        let voters = members.iter().filter(|member| member.voter).count();
        let has_new = members.iter().any(|member| member.node_id == new && member.voter);
        (members.len() == 5 && voters == 5 && has_new).then_some(())
    })
    .await;
    cluster.network.heal();
    cluster.leader().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_begun_while_another_is_not_ended_is_refused_in_words() {
    let changing = Changing::start().await;
    let cluster = &changing.cluster;
    for round in 0..20 {
        let leader = cluster.leader().await;
        let map = cluster.map(leader).clone();
        let begun = map.status().last_log;
        let first = changing.ask(map.clone(), round % 2 == 0);
        while map.status().last_log == begun && !first.is_finished() {
            tokio::task::yield_now().await;
        }
        // Without a majority it cannot end.
        cluster.isolate(&[leader]);
        let second = map.demote(format!("n{}", (leader + 1) % 3)).await;
        let under_way = !first.is_finished();
        cluster.network.heal();
        let first = first.await.unwrap();
        assert!(first.as_ref().err().is_none_or(is_documented), "{first:?}");
        changing.ask_again(round % 2 == 0).await;
        let Err(error) = second else { panic!("it was done without a majority") };
        if under_way && error.kind() == ErrorKind::Refused {
            assert!(error.message().contains("another change"), "{error}");
            return;
        }
        assert!(is_documented(&error), "{error}");
    }
    panic!("every change was quicker than its leader was cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_whose_answer_is_lost_does_not_remove_the_disk_that_comes_next_under_the_name() {
    let mut cluster = Changing::start().await.cluster;
    // Whether the answer is quicker depends on some microseconds.
    for _ in 0..20 {
        let leader = cluster.leader().await;
        let asks = (leader + 1) % 3;
        let map = cluster.map(asks).clone();
        let begun = cluster.map(leader).status().last_log;
        let removal = tokio::spawn(async move { map.remove_member("n3").await });
        while cluster.map(leader).status().last_log == begun && !removal.is_finished() {
            tokio::task::yield_now().await;
        }
        cluster.isolate(&[asks]);
        let is_lost = !removal.is_finished();
        let led = (leader + 2) % 3;
        eventually("it is removed", async || {
            let members = cluster.map(led).status().members;
            members.iter().all(|member| member.name != "n3").then_some(())
        })
        .await;
        cluster.close(3).await;
        cluster.wipe(3);
        let new = cluster.open(3).await.status().node_id;
        let has_new = |node: usize| {
            let members = cluster.map(node).status().members;
            members.iter().any(|member| member.node_id == new)
        };
        eventually("the next disk is a member", async || has_new(led).then_some(())).await;
        cluster.network.heal();
        removal.await.unwrap().unwrap();
        cluster.map(led).put_with("later", "v", patient()).await.unwrap();
        assert!(has_new(led), "the next disk was removed");
        if is_lost {
            return;
        }
        cluster.map(3).wait_ready(PATIENCE).await.unwrap();
    }
    panic!("no answer was ever lost");
}

fn patient() -> WriteOptions {
    WriteOptions::new().timeout(PATIENCE)
}

/// Cuts everyone off from `leader`, and `rest` from each other, so that only `next` reaches a majority.
fn leave_to(cluster: &Cluster, leader: usize, rest: &[usize], next: usize) {
    cluster.isolate(&[leader]);
    let at = |node: &usize| cluster.address(*node);
    for (one, other) in rest.iter().flat_map(|one| rest.iter().map(move |other| (one, other))) {
        if one != other && *one != next && *other != next {
            cluster.network.cut(&[at(one)], &[at(other)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_the_change_which_takes_its_own_vote_leaves_the_office() {
    let changing = Changing::start().await;
    let cluster = &changing.cluster;
    // Whether the next leader has heard of the change depends on some microseconds.
    for _ in 0..20 {
        changing.ask_again(true).await;
        cluster.map(3).transfer_leadership(Some("n0")).await.unwrap();
        let begun = cluster.map(3).status().last_log;
        let asked = changing.ask(cluster.map(0).clone(), false);
        while cluster.map(3).status().last_log == begun && !asked.is_finished() {
            tokio::task::yield_now().await;
        }
        leave_to(cluster, 0, &[1, 2, 3], 3);
        let led = eventually("another leads, or nobody can", async || {
            let next = cluster.map(3).status();
            let is_ahead = |node: usize| cluster.map(node).status().last_log > next.last_log;
            // Who lacks what others have is not elected, and they do not reach each other.
            let cannot = next.role == Role::Learner
                || (next.role != Role::Leader && (is_ahead(1) || is_ahead(2)));
            (next.role == Role::Leader || cannot).then_some(!cannot)
        })
        .await;
        cluster.network.heal();
        eventually("a voter leads", async || {
            let leader = cluster.leader().await;
            let status = cluster.map(leader).status();
            let named = format!("n{leader}");
            status.members.iter().any(|m| m.voter && m.name == named).then_some(())
        })
        .await;
        let first = asked.await.unwrap();
        assert!(first.as_ref().err().is_none_or(is_documented), "{first:?}");
        let voters = cluster.map(1).status().members.into_iter().filter(|m| m.voter);
        if led && voters.count() == 3 {
            return;
        }
    }
    panic!("no leader has ever ended the change that took its own vote");
}

fn is_documented(error: &kvraft::Error) -> bool {
    [ErrorKind::Unavailable, ErrorKind::Indeterminate, ErrorKind::Refused].contains(&error.kind())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_whose_leader_is_cut_off_at_any_step_is_ended_by_the_next_one() {
    let changing = Changing::start().await;
    for (round, step) in STEPS.into_iter().cycle().take(2 * STEPS.len()).enumerate() {
        let promote = round % 2 == 0;
        let first = changing.change_and_cut(promote, step).await;
        assert!(first.as_ref().err().is_none_or(is_documented), "{step:?}: {first:?}");
        changing.ask_again(promote).await;
        changing.cluster.map(0).put_with("round", round.to_string(), patient()).await.unwrap();
    }
}
