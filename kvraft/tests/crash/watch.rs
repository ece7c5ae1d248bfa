//! What watchers are told, under killed leaders: laid over each other it is the map.

use std::collections::BTreeMap;

use crate::process::Process;
use crate::trio::{SECRET, Trio};
use crate::{generation, log};

/// What a watch has told, laid over each other.
#[derive(Debug, Default)]
struct Folded {
    map: BTreeMap<String, String>,
    revision: u64,
    in_snapshot: bool,
    snapshots: usize,
}

impl Folded {
    /// Takes one line of the example `member` in.
    fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (kind, revision) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        match kind {
            "begin" => {
                assert!(revision >= self.revision, "a snapshot is older than what was told");
                let snapshots = self.snapshots + 1;
                *self = Self { revision, in_snapshot: true, snapshots, ..Self::default() };
            }
            "entries" => self.map.extend(words.map(entry)),
            "end" => {
                assert_eq!(revision, self.revision);
                self.in_snapshot = false;
            }
            "changes" => {
                assert!(revision > self.revision && !self.in_snapshot, "{line}");
                self.revision = revision;
                for word in words {
                    if word.contains('=') {
                        self.map.extend([entry(word)]);
                    } else {
                        assert!(self.map.remove(word).is_some(), "{word} went twice");
                    }
                }
            }
            _ => panic!("{line}"),
        }
    }

    /// Reads on until the key `end` was told; `Err` says why the watch has ended.
    fn follow(&mut self, process: &mut Process, watch: &str, end: &str) -> Result<(), String> {
        while self.in_snapshot || !self.map.contains_key(end) {
            let answer = process.ask(&format!("next {watch}"));
            match answer.strip_prefix("ok ") {
                Some(line) => self.take(line),
                None => return Err(answer),
            }
        }
        Ok(())
    }

    /// Goes on after the last revision that was told, or with everything if that is gone.
    fn resume(&mut self, process: &mut Process, end: &str) {
        let resumed = process.ask(&format!("watch w {}", self.revision + 1));
        let followed = match resumed.strip_prefix("ok") {
            Some(_) => self.follow(process, "w", end),
            None => Err(resumed),
        };
        if let Err(error) = followed {
            assert!(error.starts_with("error compacted"), "{error}");
            assert_eq!(process.ask("watch w resync"), "ok watching");
            self.follow(process, "w", end).unwrap();
        }
    }

    fn assert_is_the_map_of(&self, process: &mut Process) {
        let all = process.ask("all");
        let all: BTreeMap<_, _> = all.split(' ').skip(1).map(entry).collect();
        assert!(self.map == all, "what was told is not what is there");
    }
}

fn entry(word: &str) -> (String, String) {
    let (key, value) = word.split_once('=').unwrap();
    (key.to_owned(), value.to_owned())
}

/// Puts and deletes through two members while the third, which leads, is killed.
fn write_while_killing(trio: &mut Trio, leader: usize, round: usize) {
    let mut sent = Vec::new();
    for n in 0..60 {
        let key = format!("k{}", (n * 7 + round) % 17);
        let command =
            if n % 4 == 3 { format!("delete {key}") } else { format!("put {key} {round}/{n}") };
        let node = (leader + n % 3) % 3;
        let number = trio.processes[node].send(&command);
        if node != leader {
            sent.push((node, number));
        }
        if n == 30 {
            trio.processes[leader].kill();
        }
    }
    for (node, number) in sent {
        let answer = trio.processes[node].wait(number);
        assert!(answer.starts_with("ok"), "{answer}");
    }
}

/// Writes through a member until it has no entry any more that it has now.
fn write_until_the_log_is_cut_off(process: &mut Process) {
    let (_, last) = log(process);
    let value = "v".repeat(4096);
    while log(process).0 <= last + 1 {
        assert!(process.ask(&format!("put large {value}")).starts_with("ok"));
    }
}

#[test]
fn what_watchers_are_told_adds_up_to_the_map_while_leaders_are_killed_and_come_back() {
    // No checkpoint but for a snapshot, so that a node that comes back replays what was told last.
    let settings = [SECRET, ("log_keep_bytes", "65536"), ("checkpoint_interval", "10m")];
    let mut trio = Trio::start(&settings);
    let mut folded: [Folded; 3] = Default::default();
    for process in &mut trio.processes {
        assert_eq!(process.ask("watch w resync"), "ok watching");
    }
    for (round, cut_off) in [false, true].into_iter().enumerate() {
        let end = format!("end{round}");
        let killed = trio.leader();
        let survivors = [(killed + 1) % 3, (killed + 2) % 3];
        let before = generation(&trio, killed);
        write_while_killing(&mut trio, killed, round);
        if cut_off {
            for node in survivors {
                write_until_the_log_is_cut_off(&mut trio.processes[node]);
            }
        }
        assert!(trio.processes[survivors[0]].ask(&format!("put {end} x")).starts_with("ok"));
        trio.processes[killed] = trio.open(killed);
        let snapshots = folded[killed].snapshots;
        folded[killed].resume(&mut trio.processes[killed], &end);
        // It was told each change, as if it had not died, unless it got a snapshot of the map.
        assert_eq!(folded[killed].snapshots > snapshots, cut_off);
        assert_eq!(generation(&trio, killed) > before, cut_off);
        for node in survivors {
            folded[node].follow(&mut trio.processes[node], "w", &end).unwrap();
        }
        for (folded, process) in folded.iter().zip(&mut trio.processes) {
            folded.assert_is_the_map_of(process);
        }
        trio.all_ready();
    }
}

#[test]
fn a_slow_consumer_is_told_that_it_was_and_with_resync_adds_up_again_across_a_killed_leader() {
    let mut trio = Trio::start(&[SECRET]);
    let killed = trio.leader();
    let (slow, writer) = ((killed + 1) % 3, (killed + 2) % 3);
    let first = trio.processes[slow].ask("put first x");
    let first = first.strip_prefix("ok ").unwrap();
    for watch in [format!("plain {first}"), "patient resync".to_owned()] {
        assert_eq!(trio.processes[slow].ask(&format!("watch {watch}")), "ok watching");
    }
    let mut folded = Folded::default();
    folded.follow(&mut trio.processes[slow], "patient", "first").unwrap();
    // More than a node holds, 64 MiB: each put counts with what it replaces.
    let value = "v".repeat(1 << 20);
    for n in 0..36 {
        let number = trio.processes[writer].send(&format!("put large {value}"));
        if n == 18 {
            trio.processes[killed].kill();
        }
        let answer = trio.processes[writer].wait(number);
        assert!(answer.starts_with("ok"), "{answer}");
    }
    assert!(trio.processes[writer].ask("put end x").starts_with("ok"));
    trio.processes[killed] = trio.open(killed);
    trio.all_ready();
    folded.follow(&mut trio.processes[slow], "patient", "end").unwrap();
    assert_eq!(folded.snapshots, 2);
    folded.assert_is_the_map_of(&mut trio.processes[slow]);
    let told = trio.processes[slow].ask("next plain");
    assert!(told.starts_with("error compacted"), "{told}");
}
