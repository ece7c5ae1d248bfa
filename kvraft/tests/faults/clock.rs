//! Wall clocks that step by an hour, ahead and back, while leases run: their time is another.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::eventually;
use crate::process::{Process, free_addresses, member, settings};
use crate::trio::SECRET;

const TTL: Duration = Duration::from_secs(2);
/// How late a lease may end, and how much later a machine with other work may show it; a clock that
/// counted would be off by an hour.
const LATE: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_secs(8);
const HOUR: i64 = 3600;
/// Where Debian, Fedora and others have it; the loader puts its own folder of libraries for `$LIB`.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// Three members, each with a wall clock that steps when it is told to.
struct Clocks {
    dir: TempDir,
    members: Vec<Process>,
}

impl Clocks {
    fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let addresses = free_addresses(3);
        let mut clocks = Self { dir, members: Vec::new() };
        for n in 0..3 {
            clocks.set(n, 0);
            let mut command = Command::new(member());
            command
                .env("LD_PRELOAD", FAKETIME)
                .env("FAKETIME_TIMESTAMP_FILE", clocks.file(n))
                // The file is read at each look at the clock, and only the wall clock is another.
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            let mut settings = settings(clocks.dir.path(), &addresses, n);
            settings.push((SECRET.0, SECRET.1.to_owned()));
            clocks.members.push(Process::start_by(command, &settings).expect("it opens"));
        }
        for process in &mut clocks.members {
            assert_eq!(process.ask("ready"), "ok ready");
        }
        clocks
    }

    fn file(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("clock{n}"))
    }

    /// Sets how many seconds a clock is ahead.
    fn set(&self, n: usize, ahead: i64) {
        // By a rename, so that no half of it is ever read.
        let new = self.dir.path().join("clock.new");
        fs::write(&new, format!("{ahead:+}\n")).unwrap();
        fs::rename(new, self.file(n)).unwrap();
    }

    /// Sets a clock, and asserts that it has stepped: the wall clock, and no other.
    fn step(&mut self, n: usize, ahead: i64) {
        let (begin, before) = (Instant::now(), self.look(n));
        self.set(n, ahead);
        let (after, passed) = (self.look(n), begin.elapsed());
        let real = |wall: i64| (wall - real_ms() - ahead * 1000).abs();
        assert!(
            real(after.0) < 60_000,
            "the wall clock of n{n} has not stepped: is libfaketime there?"
        );
        let counted = Duration::from_millis(after.1 - before.1);
        assert!(
            counted <= passed + Duration::from_millis(1),
            "its monotonic clock has stepped too"
        );
    }

    /// Returns the milliseconds of a member's wall clock and of its monotonic one.
    fn look(&mut self, n: usize) -> (i64, u64) {
        let text = self.members[n].ask("clock");
        let (wall, monotonic) = text.strip_prefix("ok ").unwrap().split_once(' ').unwrap();
        (wall.parse().unwrap(), monotonic.parse().unwrap())
    }

    fn leader(&mut self) -> Option<usize> {
        (0..3).find(|n| self.members[*n].ask("status").starts_with("ok leader"))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what the wall clocks of the members are compared with"
)]
fn real_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Puts a key with a time to live, has something happen, and asserts that the key ends in its time.
async fn live(clocks: &mut Clocks, node: usize, key: &str, happen: impl FnOnce(&mut Clocks)) {
    let asked = Instant::now();
    assert!(clocks.members[node].ask(&format!("ttl {key} 2s")).starts_with("ok"));
    let granted = Instant::now();
    happen(clocks);
    // When it was last seen, and when it was first missed.
    let (mut seen, mut missed) = (granted, granted);
    eventually("the key goes", async || {
        let begin = Instant::now();
        let answer = clocks.members[node].ask(&format!("get {key}"));
        if answer == "ok short" {
            seen = begin;
        }
        missed = Instant::now();
        (answer == "none").then_some(())
    })
    .await;
    let (least, most) = (missed - asked, seen - granted);
    assert!(least >= TTL, "{key} went after {least:?}");
    assert!(most <= TTL + LATE + BUSY, "{key} was there after {most:?}");
}

#[tokio::test]
async fn wall_clocks_that_step_by_an_hour_end_no_lease_early_and_none_late() {
    let mut clocks = Clocks::start();
    let leader = clocks.leader().expect("a leader");
    let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
    for node in [leader, follower] {
        assert!(clocks.members[node].ask(&format!("keep kept{node} 2s")).starts_with("ok"));
    }
    for node in [leader, follower] {
        for ahead in [HOUR, -HOUR] {
            let key = format!("n{node}/{ahead}");
            live(&mut clocks, other, &key, |clocks| clocks.step(node, ahead)).await;
        }
    }
    for node in [leader, follower] {
        assert_eq!(clocks.members[other].ask(&format!("get kept{node}")), "ok kept");
    }
}

#[tokio::test]
async fn a_leader_whose_wall_clock_is_an_hour_behind_adds_nothing_to_the_leases_of_the_last_one() {
    let mut clocks = Clocks::start();
    let leader = clocks.leader().expect("a leader");
    let rest = [(leader + 1) % 3, (leader + 2) % 3];
    for node in rest {
        clocks.step(node, -HOUR);
    }
    live(&mut clocks, rest[0], "short", |clocks| clocks.members[leader].kill()).await;
}
