//! Members that come and go, again and again, while others count and leaders change.

use std::fs;
use std::time::{Duration, Instant};

use crate::once::Count;
use crate::process::{Process, free_addresses};

/// The name that comes and goes.
const GUEST: &str = "guest";
/// In one of so many rounds leadership moves while the membership changes.
const TRANSFER_IN: usize = 3;
/// In one of so many rounds the guest is killed before it is removed.
const KILL_IN: usize = 5;
/// In one of so many rounds the leader is killed and started again.
const LEADER_IN: usize = 25;
/// After so many rounds everything is there that stays: what grows from then on is a leak.
const WARM: usize = 10;
/// Open files that may come and go: connections to guests that are gone time out one by one.
const FILES_MORE: usize = 24;
/// Memory that a member may take more, in KiB: the tail of its log up to its bound, and fragments.
const MEMORY_MORE: usize = 96 << 10;
/// So many requests are made while one change is: their answers are kept for an hour and are part of
/// each snapshot, and it is not the snapshots that are to be tested here.
const REQUESTS_A_CHANGE: usize = 32;
/// Of so many requests each may take a KiB: their answers are kept for an hour.
const REQUESTS_A_KIB: usize = 2;
/// How long a change may take on a busy machine, asked for again and again.
const PATIENCE: Duration = Duration::from_secs(120);

struct Churn {
    count: Count,
    /// Killed when it is let go here.
    guest: Option<Process>,
    turn: usize,
    /// From so many requests on no more are made for now.
    enough: usize,
}

impl Churn {
    /// Sends a command to a member, and goes on counting until it is answered or has counted enough.
    fn ask(&mut self, node: usize, command: &str) -> String {
        let number = self.count.trio.processes[node].send(command);
        while self.count.answers.len() < self.enough {
            self.count.go_round();
            if let Some(answer) = self.count.trio.processes[node].answered(number) {
                return answer;
            }
        }
        self.count.trio.processes[node].wait(number)
    }

    /// Asks for a change through one member after the other until it is done.
    fn change(&mut self, command: &str) {
        let deadline = Instant::now() + PATIENCE;
        self.enough = self.count.answers.len() + REQUESTS_A_CHANGE;
        loop {
            assert!(Instant::now() < deadline, "{command} was never done");
            self.turn += 1;
            let answer = self.ask(self.turn % 3, command);
            if answer == "ok changed" {
                return;
            }
            let passes = ["unavailable", "indeterminate", "refused another change"];
            let passes = passes.map(|kind| format!("error {kind}"));
            let passing = passes.iter().any(|kind| answer.starts_with(kind));
            // A guest that is removed twice is not there the second time.
            if command.starts_with("remove") && answer.contains("no member is named") {
                return;
            }
            // On a busy machine a guest may be silent for longer than two elections.
            let waits = ["has not caught up", "quorum", "is not heard"];
            let waits = waits.iter().any(|why| answer.contains(why));
            assert!(passing || waits, "{command}: {answer}");
        }
    }

    /// Waits until every member says so of the guest: no member, a learner or a voter.
    fn wait_guest(&mut self, is: impl Fn(Option<bool>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        for node in 0..3 {
            loop {
                assert!(Instant::now() < deadline, "n{node} never says what is true of the guest");
                let members = self.ask(node, "members");
                let guest = members.split(' ').find(|word| word.starts_with(GUEST));
                if is(guest.map(|word| word.ends_with('*'))) {
                    break;
                }
            }
        }
    }

    /// Starts the guest with an empty directory, at an address that is free now.
    fn invite(&mut self, by_itself: bool) {
        let mut settings = self.count.trio.guest(GUEST, free_addresses(1)[0]);
        settings.push(("auto_promote", by_itself.to_string()));
        self.guest = Some(Process::start(&settings).expect("it opens"));
    }

    fn round(&mut self, round: usize) {
        let by_itself = round.is_multiple_of(2);
        self.invite(by_itself);
        self.wait_guest(|guest| guest.is_some());
        if !by_itself {
            self.change("promote guest");
        }
        self.wait_guest(|guest| guest == Some(true));
        if round % TRANSFER_IN == 1 {
            let heir = format!("transfer n{}", round % 2);
            let moved = self.ask(2, &heir);
            assert!(moved.starts_with("ok") || moved.contains("unavailable"), "{moved}");
        }
        if round % LEADER_IN == LEADER_IN - 1 {
            self.restart_the_leader();
        }
        if round % TRANSFER_IN == 2 {
            self.change("demote guest");
            self.wait_guest(|guest| guest == Some(false));
            self.change("promote guest");
        }
        if round % KILL_IN == 1 {
            self.guest = None;
        }
        self.change("remove guest");
        self.wait_guest(|guest| guest.is_none());
        self.guest = None;
    }

    fn restart_the_leader(&mut self) {
        let mut leader = None;
        self.count.go_on_until("a founder leads", |count| {
            leader = count.leader();
            if leader.is_none() {
                // The guest does, or nobody yet.
                count.trio.processes[0].send("transfer n0");
            }
            leader.is_some()
        });
        let leader = leader.unwrap();
        self.count.trio.processes[leader].kill();
        self.count.alive.retain(|node| *node != leader);
        // The guest may lead as well.
        self.count.go_on_until("another leads", |count| {
            let node = count.alive[0];
            let status = count.trio.processes[node].ask("status");
            let named = status.split(' ').nth(3).unwrap_or_default();
            !named.is_empty() && named != format!("n{leader}")
        });
        self.count.trio.processes[leader] = self.count.trio.open(leader);
        let ready = self.count.trio.processes[leader].send("ready");
        self.count.go_round();
        assert_eq!(self.count.trio.processes[leader].wait(ready), "ok ready");
        self.count.alive.push(leader);
    }

    /// Open files and KiB of memory of each founder.
    fn weight(&self) -> [(usize, usize); 3] {
        std::array::from_fn(|node| {
            let pid = self.count.trio.processes[node].pid().as_raw_nonzero();
            let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            (files, resident.trim().trim_end_matches(" kB").parse().unwrap())
        })
    }
}

/// Has a guest come and go so often.
#[expect(clippy::print_stdout, reason = "a long test shows how far it is")]
fn churn(rounds: usize) {
    let mut churn = Churn { count: Count::start(), guest: None, turn: 0, enough: 0 };
    let mut warm = None;
    for round in 0..rounds {
        churn.round(round);
        if round == WARM {
            warm = Some(churn.weight());
        }
        if round % WARM == 0 {
            println!("round {round}: files and KiB of each are {:?}", churn.weight());
        }
    }
    let (warm, end) = (warm.unwrap(), churn.weight());
    let more = MEMORY_MORE + churn.count.answers.len() / REQUESTS_A_KIB;
    for ((files, memory), (files_now, memory_now)) in warm.into_iter().zip(end) {
        assert!(files_now <= files + FILES_MORE, "{files} files became {files_now}");
        assert!(memory_now <= memory + more, "{memory} KiB became {memory_now}");
    }
    churn.count.check();
}

#[test]
fn a_member_that_comes_and_goes_costs_no_increment_and_leaves_nothing_behind() {
    churn(12);
}

#[test]
#[ignore = "takes many minutes; `make trust-long` runs it"]
fn five_hundred_rounds_of_churn_cost_no_increment_and_leave_nothing_behind() {
    churn(500);
}
