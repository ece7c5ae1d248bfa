//! A wiped voter whose acknowledgement has committed a write, with everybody killed.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Process, member};
use crate::trio::{SECRET, Trio};

/// How long anything that is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a member that was killed.
fn begin(trio: &mut Trio, n: usize) {
    let mut process = Process::begin(Command::new(member()), &trio.settings(n));
    assert_eq!(process.wait(0), "ok open");
    trio.processes[n] = process;
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "it did not come true that {what}");
    }
}

#[test]
fn a_write_that_only_the_leader_and_a_wiped_disk_had_survives_when_all_are_killed() {
    let mut trio = Trio::start(&[SECRET, ("request_timeout", "3s")]);
    assert!(trio.processes[0].ask("put before it").starts_with("ok"));
    let leader = trio.leader();
    let (wiped, lags) = ((leader + 1) % 3, (leader + 2) % 3);
    // The third stands still: the leader and the one that is wiped then commit it.
    trio.processes[lags].signal(Signal::STOP);
    assert!(trio.processes[leader].ask("put k acknowledged").starts_with("ok"));
    for n in 0..3 {
        trio.processes[n].kill();
    }
    fs::remove_dir_all(trio.path(wiped)).unwrap();

    // The new disk and the one that lags are two of three, and must not be a majority.
    begin(&mut trio, lags);
    begin(&mut trio, wiped);
    for n in [lags, wiped] {
        for words in ["put k lost", "get k"] {
            let answer = trio.processes[n].ask(words);
            let failures = ["error unavailable", "error indeterminate"];
            assert!(failures.iter().any(|kind| answer.starts_with(kind)), "{words}: {answer}");
        }
    }
    let deadline = Instant::now() + PATIENCE;
    // With the old leader there is one, and all that it had.
    begin(&mut trio, leader);
    for n in [leader, lags, wiped] {
        while trio.processes[n].ask("ready") != "ok ready" {
            // Each new leader counts the silence of the old disk anew: with several of them on a busy
            // machine the new disk gives up, and says that it has to be started again.
            assert!(Instant::now() < deadline, "n{n} is not ready");
            trio.processes[n].kill();
            begin(&mut trio, n);
        }
        assert_eq!(trio.processes[n].ask("get k"), "ok acknowledged");
    }
    // All have to know: with the old disk gone, only the leader could end a change that is joint.
    for n in [leader, lags, wiped] {
        wait_until("the new disk votes in the place of the old one", || {
            let members = trio.processes[n].ask("members");
            let mut words = members.split(' ').skip(1);
            words.clone().count() == 3 && words.all(|word| word.ends_with('*'))
        });
    }
    // It counts from now on, without the leader that it caught up from.
    trio.processes[leader].kill();
    wait_until("the others go on", || trio.processes[wiped].ask("put k on").starts_with("ok"));
    assert_eq!(trio.processes[lags].ask("get k"), "ok on");
}
