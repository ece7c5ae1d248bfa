//! A C member in a cluster with members in Rust.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{Language, Linkage, Program};
use kvraft::Config;
use kvraft::blocking::ReplicatedMap;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const NAMES: [&str; 3] = ["a", "b", "c"];

/// A running `tests/c/member.c`, which puts a deadline to itself.
struct Member {
    child: Child,
    lines: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Member {
    fn start(program: &Program, name: &str, addresses: &[String; 3]) -> Self {
        let address = NAMES.into_iter().zip(addresses).find(|(member, _)| *member == name);
        let (_, listen) = address.expect("one of the names");
        let mut child = program
            .command()
            .arg(program.data_dir(name))
            .args([name, listen, &members(addresses), SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a program that can be started");
        let lines = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines, answers }
    }

    fn answer(&mut self) -> String {
        self.answers.next().expect("the member still runs").expect("an answer in UTF-8")
    }

    fn ask(&mut self, line: &str) -> String {
        let lines = self.lines.as_mut().expect("not ended yet");
        writeln!(lines, "{line}").expect("the member still reads");
        self.answer()
    }

    /// Kills it as a machine's end would, with nothing said to anyone.
    fn kill(mut self) {
        self.child.kill().expect("it still runs");
        self.child.wait().expect("a child");
    }

    fn end(mut self) {
        drop(self.lines.take());
        assert!(self.child.wait().expect("a child").success());
    }
}

/// Returns three addresses that were free a moment ago.
pub(crate) fn free_addresses() -> [String; 3] {
    let sockets = NAMES.map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("a bound address").to_string())
}

fn members(addresses: &[String; 3]) -> String {
    let pairs = NAMES.into_iter().zip(addresses);
    pairs.map(|(name, address)| format!("{name}={address}")).collect::<Vec<_>>().join(",")
}

fn open(dir: &Path, name: &str, addresses: &[String; 3]) -> ReplicatedMap {
    let mut config = Config::new(dir.join(name));
    let pairs = NAMES.into_iter().zip(addresses);
    let (_, listen) = pairs.into_iter().find(|(member, _)| *member == name).expect("a name");
    for (setting, value) in [
        ("name", name),
        ("listen", listen),
        ("members", &members(addresses)),
        ("cluster_secret", SECRET),
        ("request_timeout", "30s"),
    ] {
        config.set(setting, value).expect("a right setting");
    }
    ReplicatedMap::open(config).expect("a node")
}

#[test]
fn a_member_in_c_shares_one_map_with_members_in_rust() {
    let program = Program::of("member", Linkage::Shared, Language::C);
    let dir = tempfile::tempdir().expect("a directory");
    let addresses = free_addresses();
    let mut c = Member::start(&program, "c", &addresses);
    let [a, b] = thread::scope(|scope| {
        ["a", "b"]
            .map(|name| {
                let (dir, addresses) = (dir.path(), &addresses);
                scope.spawn(move || open(dir, name, addresses))
            })
            .map(|opening| opening.join().expect("an open map"))
    });
    for map in [&a, &b] {
        map.wait_ready(PATIENCE).expect("a leader");
    }
    assert_eq!(c.answer(), "ready");

    let revision = a.put("from-rust", "one").expect("written");
    assert_eq!(c.ask("get from-rust"), "value one");
    let answer = c.ask("put from-c a value");
    let later: u64 = answer.strip_prefix("put ").expect("written").parse().expect("a revision");
    assert!(later > revision, "{later} comes after {revision}");
    assert_eq!(b.get("from-c").expect("read").as_deref(), Some(&b"a value"[..]));

    b.put("from-rust", "another").expect("written");
    assert_eq!(c.ask("get from-rust"), "value another");
    assert_eq!(c.ask("delete from-rust"), "deleted");
    assert_eq!(c.ask("delete from-rust"), "absent");
    assert_eq!(a.get("from-rust").expect("read"), None);

    let status = c.ask("status");
    assert!(status.contains(r#""name":"c""#), "{status}");

    let mut c = killed_and_started_again(c, [&a, &b], || Member::start(&program, "c", &addresses));

    // Whoever leads hands over: the two that stay serve on.
    a.close().expect("closed");
    assert_eq!(c.ask("get from-c"), "value a value");
    c.end();
    b.close().expect("closed");
}

/// Killed between two writes, it has lost none that it was told of, and comes back as itself.
fn killed_and_started_again(
    mut c: Member,
    [a, b]: [&ReplicatedMap; 2],
    start: impl FnOnce() -> Member,
) -> Member {
    assert!(c.ask("put before-its-end 1").starts_with("put "));
    c.kill();
    assert_eq!(b.get("before-its-end").expect("read").as_deref(), Some(&b"1"[..]));
    a.put("from-rust", "meanwhile").expect("written");
    let mut c = start();
    assert_eq!(c.answer(), "ready");
    assert_eq!(c.ask("get before-its-end"), "value 1");
    assert_eq!(c.ask("get from-rust"), "value meanwhile");
    c
}
