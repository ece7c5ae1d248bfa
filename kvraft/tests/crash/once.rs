//! Increments with fixed request ids, asked for again and again: each counts once.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::generation;
use crate::process::{Process, member};
use crate::trio::{SECRET, Trio};

/// How long anything that is waited for may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// One request in so many is sent through two members at the same time.
const TWICE_IN: u64 = 4;

/// One who counts: asks through any member until its request is answered, then makes the next.
struct Client {
    id: String,
    made: u64,
    /// Member and command of each time that the request under way was sent.
    sent: Vec<(usize, u64)>,
}

/// Clients of three members that die.
struct Count {
    trio: Trio,
    alive: Vec<usize>,
    clients: Vec<Client>,
    /// What the counter was after each request.
    answers: Vec<u64>,
    turn: usize,
}

impl Count {
    fn start() -> Self {
        // A log so small that who was away gets a snapshot instead of it.
        let trio = Trio::start(&[SECRET, ("log_keep_bytes", "32768")]);
        let client = |n| Client { id: format!("client{n}"), made: 0, sent: Vec::new() };
        let clients = (0..8).map(client).collect();
        let mut count = Self { trio, alive: vec![0, 1, 2], clients, answers: Vec::new(), turn: 0 };
        (0..8).for_each(|client| count.ask(client));
        count
    }

    /// Every client gets its answer and makes another request, or asks again.
    fn go_round(&mut self) {
        for client in 0..self.clients.len() {
            self.answered(client);
            self.ask(client);
        }
    }

    /// Waits for the answers to the request of a client, which are the same; returns whether there
    /// is one.
    fn answered(&mut self, client: usize) -> bool {
        let mut answered = None;
        let sent = std::mem::take(&mut self.clients[client].sent);
        for (node, number) in sent {
            let text = self.trio.processes[node].wait(number);
            if let Some(value) = text.strip_prefix("ok ") {
                let value: u64 = value.parse().unwrap();
                assert_eq!(*answered.get_or_insert(value), value, "one request, two answers");
            } else {
                let lost = ["gone", "error unavailable", "error indeterminate"];
                assert!(lost.iter().any(|kind| text.starts_with(kind)), "{text}");
            }
        }
        self.answers.extend(answered);
        self.clients[client].made += u64::from(answered.is_some());
        answered.is_some()
    }

    fn ask(&mut self, client: usize) {
        let Client { id, made, sent } = &mut self.clients[client];
        let times = if *made % TWICE_IN == 0 { 2 } else { 1 };
        for _ in 0..times {
            self.turn += 1;
            let node = self.alive[self.turn % self.alive.len()];
            sent.push((node, self.trio.processes[node].send(&format!("add counter {id}/{made}"))));
        }
    }

    /// The clients go on until it is true.
    fn go_on_until(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
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

    fn leader(&mut self) -> Option<usize> {
        let leads = |process: &mut Process| process.ask("status").starts_with("ok leader");
        self.alive.iter().copied().find(|node| leads(&mut self.trio.processes[*node]))
    }

    /// Returns the indexes of the first and the last entry in the log of the leader.
    fn log(&mut self) -> Option<(u64, u64)> {
        let leader = self.leader()?;
        let text = self.trio.processes[leader].ask("log");
        let mut words = text.strip_prefix("ok ")?.split(' ').map(|word| word.parse().unwrap());
        Some((words.next()?, words.next()?))
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
            last = count.log().map(|(_, last)| last);
            last.is_some()
        });
        self.go_on_until("the log is cut off", |count| {
            count.log().is_some_and(|(first, _)| Some(first) > last.map(|last| last + 1))
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
    fn check(mut self) {
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
        self.answers.sort_unstable();
        assert!(self.answers.into_iter().eq(1..=made), "some requests share a count");
    }
}

/// Counts to `requests`, in which time as many leaders die.
fn count_under_kills(requests: usize, kills: usize) {
    let mut count = Count::start();
    for kill in 0..kills {
        count.count_to(requests * kill / kills);
        count.kill_the_leader();
    }
    count.count_to(requests);
    count.check();
}

#[test]
fn increments_with_request_ids_count_once_each_under_killed_leaders_and_snapshots() {
    count_under_kills(2000, 2);
}

#[test]
#[ignore = "takes minutes; `make trust-long` runs it"]
fn ten_thousand_increments_count_once_each_under_twelve_killed_leaders_and_snapshots() {
    count_under_kills(10_000, 12);
}
