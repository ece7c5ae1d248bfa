//! Increments with fixed request ids, asked for again and again: each counts once.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Process, member};
use crate::trio::{SECRET, Trio};
use crate::{generation, log};

/// How long anything that is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// One request in so many is sent through two members at the same time.
const TWICE_IN: u64 = 4;
/// One of so many requests that were answered is asked for once more after each kill.
const OLD_IN: usize = 16;

/// One who counts: asks through any member until its request is answered, then makes the next.
#[derive(Default)]
struct Client {
    made: u64,
    /// Member and command of each time that the request under way was sent.
    sent: Vec<(usize, u64)>,
}

/// Clients of three members that die.
pub(crate) struct Count {
    pub(crate) trio: Trio,
    pub(crate) alive: Vec<usize>,
    clients: Vec<Client>,
    /// What the counter was after each request.
    pub(crate) answers: BTreeMap<String, u64>,
    turn: usize,
    /// How many calls were not answered with a count, and were made again.
    pub(crate) failures: usize,
}

impl Count {
    pub(crate) fn start() -> Self {
        // A log so small that who was away gets a snapshot instead of it.
        let trio = Trio::start(&[SECRET, ("log_keep_bytes", "32768")]);
        let clients = std::iter::repeat_with(Client::default).take(8).collect();
        let mut count = Self {
            trio,
            alive: vec![0, 1, 2],
            clients,
            answers: BTreeMap::new(),
            turn: 0,
            failures: 0,
        };
        (0..8).for_each(|client| count.ask(client));
        count
    }

    /// Every client gets its answer and makes another request, or asks again.
    pub(crate) fn go_round(&mut self) {
        for client in 0..self.clients.len() {
            self.answered(client);
            self.ask(client);
        }
    }

    /// Waits for the answers to the request of a client; returns whether there is one.
    fn answered(&mut self, client: usize) -> bool {
        let Client { made, sent, .. } = &mut self.clients[client];
        let (request, sent) = (*made, std::mem::take(sent));
        let id = request_id(client, request);
        let mut answered = false;
        for (node, number) in sent {
            let text = self.trio.processes[node].wait(number);
            answered |= self.note(&id, &text);
        }
        self.clients[client].made += u64::from(answered);
        answered
    }

    /// Notes the answer to a request, if it is one; it must be that of the other times.
    fn note(&mut self, id: &str, text: &str) -> bool {
        let Some(value) = text.strip_prefix("ok ") else {
            let lost = ["gone", "error unavailable", "error indeterminate"];
            assert!(lost.iter().any(|kind| text.starts_with(kind)), "{text}");
            self.failures += 1;
            return false;
        };
        let value = value.parse().unwrap();
        let first = *self.answers.entry(id.to_owned()).or_insert(value);
        assert_eq!(first, value, "{id} was answered in two ways");
        true
    }

    fn ask(&mut self, client: usize) {
        let made = self.clients[client].made;
        let times = if made.is_multiple_of(TWICE_IN) { 2 } else { 1 };
        for _ in 0..times {
            let sent = self.send(&request_id(client, made));
            self.clients[client].sent.push(sent);
        }
    }

    /// Sends a request through the member whose turn it is.
    fn send(&mut self, id: &str) -> (usize, u64) {
        self.turn += 1;
        let node = self.alive[self.turn % self.alive.len()];
        (node, self.trio.processes[node].send(&format!("add counter {id}")))
    }

    /// Asks again for some requests that were answered before the last kill: members know of them
    /// from a snapshot only, or from their disk.
    fn ask_for_old_ones(&mut self) {
        let old: Vec<_> = self.answers.keys().step_by(OLD_IN).cloned().collect();
        let sent: Vec<_> = old.iter().map(|id| self.send(id)).collect();
        for (id, (node, number)) in old.iter().zip(sent) {
            let text = self.trio.processes[node].wait(number);
            self.note(id, &text);
        }
    }

    /// The clients go on until it is true.
    pub(crate) fn go_on_until(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_true(self) {
            assert!(Instant::now() < deadline, "it did not come true that {what}");
            self.go_round();
        }
    }

    /// The clients go on until this many requests are answered.
    fn count_to(&mut self, answers: usize) {
        self.go_on_until("the requests are answered", |count| count.answers.len() >= answers);
    }

    pub(crate) fn leader(&mut self) -> Option<usize> {
        let leads = |process: &mut Process| process.ask("status").starts_with("ok leader");
        self.alive.iter().copied().find(|node| leads(&mut self.trio.processes[*node]))
    }

    fn log_of_leader(&mut self) -> Option<(u64, u64)> {
        let leader = self.leader()?;
        Some(log(&mut self.trio.processes[leader]))
    }

    /// Kills the leader, and brings it back when the others do not have the entries any more that
    /// it lacks, so that it needs a snapshot.
    fn kill_the_leader(&mut self) {
        let mut leader = None;
        self.go_on_until("somebody leads", |count| {
            leader = count.leader();
            leader.is_some()
        });
        let killed = leader.unwrap();
        let before = generation(&self.trio, killed);
        self.trio.processes[killed].kill();
        self.alive.retain(|node| *node != killed);
        let mut last = None;
        self.go_on_until("another leads", |count| {
            last = count.log_of_leader().map(|(_, last)| last);
            last.is_some()
        });
        self.go_on_until("the log is cut off", |count| {
            count.log_of_leader().is_some_and(|(first, _)| Some(first) > last.map(|last| last + 1))
        });
        self.trio.processes[killed] =
            Process::begin(Command::new(member()), &self.trio.settings(killed));
        self.go_on_until("a snapshot is installed", |count| {
            generation(&count.trio, killed) > before
        });
        assert_eq!(self.trio.processes[killed].wait(0), "ok open");
        self.alive.push(killed);
    }

    /// Ends what is under way, and compares the counter with the requests.
    pub(crate) fn check(mut self) {
        self.trio.all_ready();
        for client in 0..self.clients.len() {
            while !self.answered(client) {
                self.ask(client);
            }
        }
        let made: u64 = self.clients.iter().map(|client| client.made).sum();
        for process in &mut self.trio.processes {
            assert_eq!(process.ask("get counter"), format!("ok {made}"));
        }
        let mut values: Vec<_> = self.answers.into_values().collect();
        values.sort_unstable();
        assert!(values.into_iter().eq(1..=made), "some requests share a count");
    }
}

fn request_id(client: usize, request: u64) -> String {
    format!("client{client}/{request}")
}

/// Counts to `requests`, in which time as many leaders die.
fn count_under_kills(requests: usize, kills: usize) {
    let mut count = Count::start();
    for kill in 0..kills {
        count.count_to(requests * kill / kills);
        count.kill_the_leader();
        count.ask_for_old_ones();
    }
    count.count_to(requests);
    count.check();
}

#[test]
fn increments_with_request_ids_count_once_each_under_killed_leaders_and_snapshots() {
    count_under_kills(2000, 2);
}

#[test]
#[ignore = "takes over a minute; `make trust-long` runs it"]
fn ten_thousand_increments_count_once_each_under_twelve_killed_leaders_and_snapshots() {
    count_under_kills(10_000, 12);
}
