//! A member that is killed while it fetches its state anew, at each step of it.

use std::process::Command;

use crate::generation;
use crate::process::{Process, member};
use crate::steps::{Moment, Watched, moments, wait_alike};
use crate::trio::{SECRET, Trio};

/// A state of 6 MB, so that it is received in many pieces.
const VALUES: usize = 100;

/// Three members, one of which fetches its state again and again, and is killed meanwhile.
struct Refilling {
    trio: Trio,
    node: usize,
    written: usize,
}

impl Refilling {
    fn start() -> Self {
        let mut trio = Trio::start(&[SECRET]);
        let node = (trio.leader() + 1) % 3;
        let mut refilling = Self { trio, node, written: 0 };
        for n in 0..VALUES {
            refilling.put(&format!("k{n} {n:060000}"));
        }
        refilling
    }

    /// Puts at one of the others.
    fn put(&mut self, words: &str) {
        let answer = self.trio.processes[(self.node + 1) % 3].ask(&format!("put {words}"));
        assert!(answer.starts_with("ok"), "{answer}");
        self.written += 1;
    }

    /// Has the node fetch its state, kills it at that moment, and starts it again.
    fn kill_at(&mut self, moment: Moment) {
        let old = generation(&self.trio, self.node);
        let states = self.trio.path(self.node).join("state");
        let watched = Watched::new(&states, old);
        self.trio.processes[self.node].send("refill");
        // What is acknowledged now is in the log of the node, and not in its state.
        let written = self.written;
        self.put(&format!("w {written}"));
        watched.wait_for(moment);
        self.trio.processes[self.node].kill();
        let mut process = Process::begin(Command::new(member()), &self.trio.settings(self.node));
        assert_eq!(process.wait(0), "ok open");
        self.trio.processes[self.node] = process;
        assert_eq!(self.trio.processes[self.node].ask("ready"), "ok ready");
        wait_alike(&mut self.trio.processes);
        assert_eq!(self.trio.processes[self.node].ask("get w"), format!("ok {written}"));
    }
}

#[expect(clippy::print_stdout, reason = "a failure is repeated with the seed that it shows")]
fn kill_often(seed: u64, kills: usize) {
    let mut refilling = Refilling::start();
    for moment in moments(seed).take(kills) {
        println!("seed {seed}: killed at {moment}");
        refilling.kill_at(moment);
    }
}

#[test]
fn a_member_killed_while_it_fetches_its_state_has_it_after_its_next_start() {
    kill_often(1, 5);
}

#[test]
#[ignore = "takes about a minute; `make trust-long` runs it"]
fn a_member_killed_at_sixty_moments_of_its_refills_has_its_state_each_time() {
    for seed in 2..4 {
        kill_often(seed, 30);
    }
}
