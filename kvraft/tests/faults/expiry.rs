//! What has a time to live, under leaders that are paused and clocks that step: never too early.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::eventually;
use crate::trio::{SECRET, Trio};

const TTL: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_leader_that_is_paused_ends_nothing_early_and_not_what_others_kept_alive() {
    let mut trio = Trio::start(&[SECRET]);
    let leader = trio.leader();
    let (writer, other) = ((leader + 1) % 3, (leader + 2) % 3);
    assert!(trio.processes[writer].ask("keep kept 3s").starts_with("ok"));
    let begin = Instant::now();
    assert!(trio.processes[writer].ask("ttl short 3s").starts_with("ok"));
    trio.processes[leader].signal(Signal::STOP);
    // Through a change of leader up to its time, and beyond the time of both.
    eventually("the key is gone", async || {
        let (asked, answer) = (begin.elapsed(), trio.processes[other].ask("get short"));
        assert!(answer == "none" || asked < TTL + Duration::from_secs(10), "{answer}");
        (answer == "none").then_some(())
    })
    .await;
    assert!(begin.elapsed() >= TTL, "it went after {:?}", begin.elapsed());
    // The old leader wakes with a clock that has gone on: it decides nothing by it.
    trio.processes[leader].signal(Signal::CONT);
    for node in 0..3 {
        eventually("the node serves", async || {
            (trio.processes[node].ask("get kept") == "ok kept").then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_paused_as_a_whole_goes_on_where_it_was() {
    let mut trio = Trio::start(&[SECRET]);
    assert!(trio.processes[0].ask("ttl short 5s").starts_with("ok"));
    let stopped = Instant::now();
    for process in &trio.processes {
        process.signal(Signal::STOP);
    }
    // The time of the key passes while nobody leads.
    eventually("a time longer than that to live has passed", async || {
        (stopped.elapsed() > Duration::from_millis(5500)).then_some(())
    })
    .await;
    for process in &trio.processes {
        process.signal(Signal::CONT);
    }
    eventually("somebody answers", async || {
        let answer = trio.processes[1].ask("get short");
        assert_ne!(answer, "none", "a pause has shortened its life");
        answer.starts_with("ok").then_some(())
    })
    .await;
    eventually("it goes in the end", async || {
        (trio.processes[2].ask("get short") == "none").then_some(())
    })
    .await;
}
