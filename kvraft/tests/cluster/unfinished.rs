//! Changes of the membership whose leader goes in the middle: the next one ends them.

use std::time::{Duration, Instant};

use kvraft::{ErrorKind, ReplicatedMap, Result, WriteOptions};
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
        let patient = WriteOptions::new().timeout(Duration::from_secs(20));
        changing.cluster.map(0).put_with("round", round.to_string(), patient).await.unwrap();
    }
}
