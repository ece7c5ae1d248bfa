//! A follower that is killed while it installs a snapshot, at each step of it.

use std::process::Command;
use std::time::Instant;

use crate::process::{Process, member};
use crate::steps::{Moment, PATIENCE, Watched, hash, moments, wait_alike};
use crate::trio::{SECRET, Trio};
use crate::{generation, log};

/// A state of 6 MB, so that it is received in many pieces.
const VALUES: usize = 100;

/// Three members, one of which is killed again and again.
struct Installing {
    trio: Trio,
    follower: usize,
    round: usize,
}

impl Installing {
    fn start() -> Self {
        let trio = Trio::start(&[SECRET, ("log_keep_bytes", "32768")]);
        let mut installing = Self { trio, follower: 0, round: 0 };
        installing.follower = (installing.trio.leader() + 1) % 3;
        for n in 0..VALUES {
            installing.put(&format!("k{n} {n:060000}"));
        }
        installing
    }

    /// Puts at one of those that live.
    fn put(&mut self, words: &str) {
        let node = (self.follower + 1) % 3;
        let answer = self.trio.processes[node].ask(&format!("put {words}"));
        assert!(answer.starts_with("ok"), "{answer}");
    }

    /// Writes while the follower is dead, until it can catch up by a snapshot only.
    fn leave_behind(&mut self) {
        let (_, last) = log(&mut self.trio.processes[self.follower]);
        self.trio.processes[self.follower].kill();
        self.round += 1;
        let deadline = Instant::now() + PATIENCE;
        let others = [(self.follower + 1) % 3, (self.follower + 2) % 3];
        // Both: either may lead when it comes back.
        while !others.iter().all(|node| log(&mut self.trio.processes[*node]).0 > last + 1) {
            assert!(Instant::now() < deadline, "the log was not cut off");
            self.put(&format!("k{} {:060000}", self.round % VALUES, self.round));
        }
    }

    /// Starts the follower and kills it at that moment; returns whether the new state was there.
    fn kill_at(&mut self, moment: Moment) -> bool {
        let old = generation(&self.trio, self.follower);
        let states = self.trio.path(self.follower).join("state");
        let settings = self.trio.settings(self.follower);
        let watched = Watched::new(&states, old);
        let mut process = Process::begin(Command::new(member()), &settings);
        watched.wait_for(moment);
        process.kill();
        self.trio.processes[self.follower] = process;
        generation(&self.trio, self.follower) > old
    }

    /// Starts the follower for good, and compares it with the others.
    fn check(&mut self, applied: u64) {
        let mut process =
            Process::begin(Command::new(member()), &self.trio.settings(self.follower));
        assert_eq!(process.wait(0), "ok open");
        assert!(hash(&mut process).0 >= applied, "it fell behind its old state");
        assert_eq!(process.ask("ready"), "ok ready");
        self.trio.processes[self.follower] = process;
        wait_alike(&mut self.trio.processes);
    }
}

/// Kills the follower so often, and has it catch up after every few kills.
#[expect(clippy::print_stdout, reason = "a failure is repeated with the seed that it shows")]
fn kill_often(seed: u64, kills: usize) {
    let mut installing = Installing::start();
    let mut moments = moments(seed).take(kills);
    let mut left = kills;
    while left > 0 {
        let applied = hash(&mut installing.trio.processes[installing.follower]).0;
        installing.leave_behind();
        // Killed with its old state it needs the snapshot still.
        for moment in moments.by_ref() {
            left -= 1;
            let is_new = installing.kill_at(moment);
            println!(
                "seed {seed}: killed at {moment}, with the {} state",
                if is_new { "new" } else { "old" }
            );
            if is_new {
                break;
            }
        }
        installing.check(applied);
    }
}

#[test]
fn a_follower_killed_while_it_installs_a_snapshot_has_the_old_state_or_the_new_one() {
    kill_often(1, 6);
}

#[test]
#[ignore = "takes over a minute; `make trust-long` runs it"]
fn a_follower_killed_at_eighty_moments_of_its_snapshots_catches_up_each_time() {
    for seed in 2..4 {
        kill_often(seed, 40);
    }
}
