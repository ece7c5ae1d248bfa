//! Members as processes of their own, killed with SIGKILL: what was acknowledged is there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that cannot go on has failed; its helpers are no interface"
)]

mod churn;
mod guest;
mod install;
mod once;
#[path = "../common/process.rs"]
mod process;
mod refill;
mod rolling;
mod steps;
#[path = "../common/trio.rs"]
mod trio;
mod unfinished;
mod watch;
mod wiped;

use std::collections::BTreeMap;

use process::Process;
use tempfile::TempDir;
use trio::{SECRET, Trio};

/// Returns the number of a member's state, which grows with each snapshot that it installs.
fn generation(trio: &Trio, n: usize) -> u64 {
    let states = std::fs::read_dir(trio.path(n).join("state")).unwrap();
    let names = states.map(|entry| entry.unwrap().file_name());
    names.filter_map(|name| name.to_str()?.parse().ok()).max().expect("a state")
}

/// Returns the indexes of the first and the last entry in the log of a member.
fn log(process: &mut Process) -> (u64, u64) {
    let text = process.ask("log");
    let (first, last) = text.strip_prefix("ok ").unwrap().split_once(' ').unwrap();
    (first.parse().unwrap(), last.parse().unwrap())
}

#[test]
fn a_cluster_killed_whole_has_every_acknowledged_write_after_the_restart() {
    let mut trio = Trio::start(&[SECRET]);
    let mut sent = BTreeMap::new();
    for round in 0..120 {
        let node = round % 3;
        let number = trio.processes[node].send(&format!("put k{round} v{round}"));
        sent.insert(round, (node, number));
    }
    // Some of them are acknowledged, then everything dies in the middle of the rest.
    let (node, number) = sent[&60];
    trio.processes[node].wait(number);
    for process in &mut trio.processes {
        process.kill();
    }
    let acknowledged: Vec<usize> = sent
        .iter()
        .filter(|(_, (node, number))| trio.processes[*node].wait(*number).starts_with("ok"))
        .map(|(round, _)| *round)
        .collect();
    assert!(!acknowledged.is_empty());
    for n in 0..3 {
        trio.processes[n] = trio.open(n);
    }
    trio.all_ready();
    for round in acknowledged {
        for process in &mut trio.processes {
            assert_eq!(process.ask(&format!("get k{round}")), format!("ok v{round}"));
        }
    }
}

#[test]
fn a_killed_leader_is_replaced_and_comes_back() {
    let mut trio = Trio::start(&[SECRET]);
    for n in 0..30 {
        assert!(trio.processes[n % 3].ask(&format!("put k{n} v{n}")).starts_with("ok"));
    }
    let leader = trio.leader();
    let survivor = (leader + 1) % 3;
    // Written through a survivor while the leader dies: answered by the next leader, once.
    let waiting: Vec<_> =
        (30..60).map(|n| trio.processes[survivor].send(&format!("put k{n} v{n}"))).collect();
    trio.processes[leader].kill();
    for number in waiting {
        let answer = trio.processes[survivor].wait(number);
        assert!(answer.starts_with("ok"), "{answer}");
    }
    trio.processes[leader] = trio.open(leader);
    trio.all_ready();
    for n in 0..60 {
        assert_eq!(trio.processes[leader].ask(&format!("get k{n}")), format!("ok v{n}"));
    }
}

#[test]
fn a_single_node_killed_in_the_middle_of_its_writes_keeps_the_acknowledged_ones() {
    let dir = TempDir::new().unwrap();
    let settings = [("data_dir", dir.path().join("d").display().to_string())];
    let mut written = 0;
    for _ in 0..3 {
        let mut process = Process::start(&settings).unwrap();
        for n in 0..written {
            assert_eq!(process.ask(&format!("get k{n}")), format!("ok v{n}"));
        }
        let numbers: Vec<_> =
            (written..written + 200).map(|n| process.send(&format!("put k{n} v{n}"))).collect();
        process.wait(numbers[50]);
        process.kill();
        // The writes run side by side: count those that are acknowledged without a gap.
        written += numbers
            .into_iter()
            .take_while(|number| process.wait(*number).starts_with("ok"))
            .count();
    }
    assert!(written > 0);
}

#[test]
fn a_directory_in_use_by_another_process_is_refused() {
    let dir = TempDir::new().unwrap();
    let settings = [("data_dir", dir.path().join("d").display().to_string())];
    let _first = Process::start(&settings).unwrap();
    let refusal = Process::start(&settings).err().expect("refused");
    assert!(refusal.starts_with("error refused"), "{refusal}");
}
