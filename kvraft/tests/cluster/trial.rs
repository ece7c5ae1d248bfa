//! Clusters that change their shape under load, and histories of all that was asked meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kvraft::{Consistency, ReadOptions, ReplicatedMap, WriteOptions};
use tokio::task::JoinSet;

use crate::harness::{Cluster, PATIENCE, eventually};
use crate::history::{Answer, Call, Caller, History, Outcome};
use crate::linear::{Verdict, judge};

/// Beside the five nodes that vote at times: it never does, and is asked like the others.
const LEARNER: usize = 5;
/// How many ask at the same time; every third of them through a client.
const CALLERS: usize = 9;
/// Keys that are put and swapped, and as many that are added to.
const KEYS: u64 = 2;
/// How long a call may take: longer than an election, so that most calls end with an answer.
const CALL: Duration = Duration::from_secs(3);
/// A caller whose member does not serve asks another one after this.
const PAUSE: Duration = Duration::from_millis(5);

/// What the callers share with those who change the cluster.
#[derive(Default)]
struct Shared {
    history: History,
    stop: AtomicBool,
    /// Part of the keys: a history of one key must not become too long for the judge.
    age: AtomicU64,
    /// The nodes that run, by their numbers.
    maps: Mutex<Vec<Option<ReplicatedMap>>>,
}

struct Trial {
    cluster: Cluster,
    shared: Arc<Shared>,
    callers: JoinSet<()>,
}

impl Trial {
    async fn start() -> Self {
        let cluster =
            Cluster::found_with(3, 3, |node, config| config.auto_promote(node != LEARNER)).await;
        let client = cluster.connect(&[0, 1, 2]).await;
        let shared = Arc::new(Shared::default());
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let client = caller.is_multiple_of(3).then(|| client.clone());
            callers.spawn(call_on(caller, Arc::clone(&shared), client));
        }
        let mut trial = Self { cluster, shared, callers };
        trial.open(LEARNER).await;
        trial
    }

    /// Starts a node, which callers may ask from then on.
    async fn open(&mut self, node: usize) {
        self.cluster.open(node).await;
        self.publish();
    }

    async fn close(&mut self, node: usize) {
        self.cluster.close(node).await;
        self.publish();
    }

    fn publish(&self) {
        self.shared.maps.lock().unwrap().clone_from(&self.cluster.maps);
    }

    /// Has three become five, one and three again; in the middle a leader goes, and another vanishes.
    async fn reshape(&mut self) {
        self.shared.age.fetch_add(1, Ordering::SeqCst);
        for node in 3..5 {
            self.open(node).await;
        }
        self.cluster.wait_voters(0, &[0, 1, 2, 3, 4]).await;
        eventually("everything was tried", async || {
            everything_was_tried(&self.shared.history).then_some(())
        })
        .await;
        self.cluster.map(LEARNER).transfer_leadership(None).await.unwrap();
        self.lose_the_leader().await;
        self.cluster.map(4).shrink(1).await.unwrap();
        self.cluster.wait_voters(0, &[0]).await;
        for node in 1..5 {
            self.close(node).await;
            self.cluster.wipe(node);
        }
        for node in 1..3 {
            self.open(node).await;
        }
        self.cluster.wait_voters(0, &[0, 1, 2]).await;
    }

    /// Nobody hears the leader any more; it is asked all the same, until another leads. Then it is
    /// started anew.
    async fn lose_the_leader(&mut self) {
        let leader = self.cluster.leader().await;
        self.cluster.network.silence(self.cluster.address(leader));
        let mut rest = self.cluster.others(leader);
        rest.retain(|node| *node != LEARNER);
        self.cluster.leader_among(&rest).await;
        self.close(leader).await;
        self.cluster.network.heal();
        self.open(leader).await;
        self.cluster.map(leader).wait_ready(PATIENCE).await.unwrap();
    }

    /// Lets the callers end, asks everyone once more, and judges.
    async fn end(mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        let history = &self.shared.history;
        let keys: Vec<_> = history.keys().keys().cloned().collect();
        let patient = ReadOptions::new().timeout(PATIENCE);
        for node in [0, 1, 2, LEARNER] {
            let (who, map) = (format!("n{node}"), self.cluster.map(node));
            let caller = Caller { history, who: &who, map };
            for key in &keys {
                caller.get(key, patient).await.unwrap();
            }
        }
        let verdict = judge(history);
        assert_eq!(verdict, Verdict::Linearizable, "{verdict}");
    }
}

/// Returns whether everyone has answered a read and a write, and swaps have won and lost: a history
/// in which nothing happened is linearizable too.
fn everything_was_tried(history: &History) -> bool {
    let answered = |who: &str, is_read: bool| {
        history.count(|o| {
            let as_asked = (o.call == Call::Get) == is_read;
            o.who == who && as_asked && matches!(o.outcome, Outcome::Ok(_))
        }) > 0
    };
    let everyone = ["client", "n0", "n1", "n2", "n3", "n4", "n5"];
    let won = history.count(|o| {
        matches!(o.call, Call::Swap { .. })
            && matches!(o.outcome, Outcome::Ok(Answer::Written { .. }))
    });
    let lost = history.count(|o| matches!(o.outcome, Outcome::Ok(Answer::Conflict { .. })));
    everyone.iter().all(|who| answered(who, true) && answered(who, false)) && won > 0 && lost > 0
}

/// Asks one thing after the other until told to stop.
async fn call_on(caller: usize, shared: Arc<Shared>, client: Option<ReplicatedMap>) {
    let (mut turn, mut seen) = (caller as u64, 0);
    while !shared.stop.load(Ordering::SeqCst) {
        turn += 1;
        let at = turn as usize % (LEARNER + 1);
        let map = match &client {
            Some(client) => Some(client.clone()),
            None => shared.maps.lock().unwrap().get(at).cloned().flatten(),
        };
        let Some(map) = map else {
            tokio::task::yield_now().await;
            continue;
        };
        let who = client.as_ref().map_or_else(|| format!("n{at}"), |_| "client".to_owned());
        let caller = Caller { history: &shared.history, who: &who, map: &map };
        let age = shared.age.load(Ordering::SeqCst);
        if call_once(&caller, (age, turn), &mut seen).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Makes one call, another one with each turn; `seen` is the last revision that was.
async fn call_once(
    caller: &Caller<'_>,
    (age, turn): (u64, u64),
    seen: &mut u64,
) -> kvraft::Result<()> {
    // No number of two factors that the choices below have: else some never meet.
    let dice = turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let (entry, sum) = (format!("{age}/e{}", dice % KEYS), format!("{age}/s{}", dice % KEYS));
    let (read, write) = (ReadOptions::new().timeout(CALL), WriteOptions::new().timeout(CALL));
    match (dice / KEYS) % 6 {
        0 => drop(caller.get(&sum, read).await?),
        1 | 2 => *seen = caller.get(&entry, read).await?.map_or(0, |entry| entry.revision),
        3 => *seen = caller.put(&entry, dice.cast_signed(), write).await?,
        4 => drop(caller.add(&sum, 1, write).await?),
        // A swap that lost has told what there is, and that is no failure.
        _ => drop(caller.swap(&entry, (*seen, dice.cast_signed()), write).await),
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_while_three_become_five_and_one_and_three_again_is_linearizable() {
    let mut trial = Trial::start().await;
    trial.reshape().await;
    trial.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `make trust-long` runs it"]
async fn what_is_answered_while_a_cluster_changes_its_shape_twelve_times_is_linearizable() {
    let mut trial = Trial::start().await;
    for _ in 0..12 {
        trial.reshape().await;
    }
    trial.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_read_of_a_member_that_hears_nothing_is_found_by_the_judge() {
    let cluster = Cluster::start(3).await;
    let leader = cluster.leader().await;
    let deaf = cluster.others(leader)[0];
    let history = History::default();
    let writer = Caller { history: &history, who: "leader", map: cluster.map(leader) };
    let reader = Caller { history: &history, who: "deaf", map: cluster.map(deaf) };
    writer.put("k", 1, WriteOptions::new()).await.unwrap();
    cluster.wait_local(deaf, "k", "1").await;
    cluster.network.silence(cluster.address(deaf));
    writer.put("k", 2, WriteOptions::new()).await.unwrap();
    assert_eq!(judge(&history), Verdict::Linearizable);
    // A read that asks for the truth does not get it, which is no fault.
    let short = ReadOptions::new().timeout(Duration::from_millis(300));
    reader.get("k", short).await.unwrap_err();
    assert_eq!(judge(&history), Verdict::Linearizable);
    reader.get("k", ReadOptions::new().consistency(Consistency::Local)).await.unwrap();
    let verdict = judge(&history);
    assert!(matches!(verdict, Verdict::Violation { .. }), "{verdict}");
}
