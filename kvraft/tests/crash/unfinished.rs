//! Changes of the membership whose leader is killed in the middle.

use std::process::Command;

use crate::once::Count;
use crate::process::{Process, free_addresses, member};

/// The member whose vote comes and goes.
const GUEST: &str = "guest";
/// The leader is killed after so many looks at another member at most: a change takes about one.
const MOST_LOOKS: u64 = 4;

/// A change that was asked for, and where.
struct Asked {
    node: usize,
    number: u64,
    command: &'static str,
}

/// Waits until a change is done, asking again if need be, while others count.
fn finish(count: &mut Count, mut asked: Asked) {
    count.go_on_until("the change is made", |count| {
        let process = &mut count.trio.processes[asked.node];
        let Some(answer) = process.answered(asked.number) else { return false };
        let documented = ["error unavailable", "error indeterminate", "error refused"];
        let is_documented = documented.iter().any(|kind| answer.starts_with(kind));
        assert!(answer == "ok changed" || is_documented, "{}: {answer}", asked.command);
        asked.number = process.send(asked.command);
        answer == "ok changed"
    });
}

/// Promotes and demotes the guest in turn, and kills the leader each time.
fn change_under_kills(kills: u64) {
    let mut count = Count::start();
    let mut settings = count.trio.guest(GUEST, free_addresses(1)[0]);
    settings.push(("auto_promote", "false".to_owned()));
    let mut guest = Process::begin(Command::new(member()), &settings);
    let ready = guest.send("ready");
    count.go_on_until("the guest is ready", |_| guest.answered(ready).is_some());
    for kill in 0..kills {
        let mut leader = None;
        count.go_on_until("a founder leads", |count| {
            leader = count.leader();
            if leader.is_none() {
                count.trio.processes[0].send("transfer n0");
            }
            leader.is_some()
        });
        let killed = leader.unwrap();
        let node = (killed + 1) % 3;
        let command = if kill.is_multiple_of(2) { "promote guest" } else { "demote guest" };
        let asked = Asked { node, number: count.trio.processes[node].send(command), command };
        for _ in 0..kill % (MOST_LOOKS + 1) {
            count.trio.processes[node].ask("log");
        }
        count.trio.processes[killed].kill();
        count.alive.retain(|node| *node != killed);
        finish(&mut count, asked);
        count.trio.processes[killed] = count.trio.open(killed);
        let ready = count.trio.processes[killed].send("ready");
        count.go_on_until("it is back", |count| {
            count.trio.processes[killed].answered(ready).is_some()
        });
        count.alive.push(killed);
        let voter = kill.is_multiple_of(2);
        for node in 0..3 {
            count.go_on_until("all know of the change", |count| {
                let members = count.trio.processes[node].ask("members");
                let mut words = members.split(' ');
                words.any(|word| word.starts_with(GUEST) && word.ends_with('*') == voter)
            });
        }
    }
    count.check();
}

#[test]
fn a_change_whose_leader_is_killed_is_made_by_the_next_one() {
    change_under_kills(4);
}

#[test]
#[ignore = "takes over a minute; `make trust-long` runs it"]
fn forty_changes_whose_leaders_are_killed_are_made_by_the_next_ones() {
    change_under_kills(40);
}
