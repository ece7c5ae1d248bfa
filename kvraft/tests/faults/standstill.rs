//! Members that stand still for a while, as on a disk that does not answer or a machine that is paused.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::assert_says;
use crate::harness::eventually;
use crate::trio::{SECRET, Trio};

#[tokio::test]
async fn a_follower_that_stands_still_causes_no_election_and_fails_no_write() {
    let mut trio = Trio::start(&[SECRET]);
    let leader = trio.leader();
    let (still, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let reign = trio.processes[leader].ask("status");
    trio.processes[still].signal(Signal::STOP);
    // Several election timeouts long.
    let end = Instant::now() + Duration::from_secs(2);
    let mut written = 0;
    while Instant::now() < end {
        let node = [leader, other][written % 2];
        let answer = trio.processes[node].ask(&format!("put k{written} v{written}"));
        assert!(answer.starts_with("ok"), "{answer}");
        written += 1;
    }
    trio.processes[still].signal(Signal::CONT);
    for n in 0..written {
        assert_eq!(trio.processes[still].ask(&format!("get k{n}")), format!("ok v{n}"));
    }
    assert_eq!(trio.processes[leader].ask("status"), reign);
}

#[tokio::test]
async fn without_a_majority_calls_fail_in_time_and_succeed_by_themselves_once_it_is_back() {
    let mut trio = Trio::start(&[SECRET, ("request_timeout", "1s")]);
    let leader = trio.leader();
    let followers = [(leader + 1) % 3, (leader + 2) % 3];
    assert!(trio.processes[leader].ask("put k before").starts_with("ok"));
    for node in followers {
        trio.processes[node].signal(Signal::STOP);
    }
    let start = Instant::now();
    for round in 0..2 {
        let answer = trio.processes[leader].ask(&format!("put lost{round} v"));
        let kind = answer.split(' ').nth(1).unwrap();
        assert!(["unavailable", "indeterminate"].contains(&kind), "{answer}");
        assert_says(&trio.processes[leader].ask("get k"), &["error unavailable"]);
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    for node in followers {
        trio.processes[node].signal(Signal::CONT);
    }
    for node in 0..3 {
        eventually("the node takes writes again", async || {
            trio.processes[node].ask("put k after").starts_with("ok").then_some(())
        })
        .await;
        assert_eq!(trio.processes[node].ask("get k"), "ok after");
    }
}
