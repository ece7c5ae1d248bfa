//! Programs in C as clients of a member outside, under valgrind and under ThreadSanitizer: neither has
//! room for the address space that a node's files are mapped into. Other tests watch nodes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kvraft::Config;
use kvraft::blocking::ReplicatedMap;
use tempfile::TempDir;

use crate::mixed::{PATIENCE, SECRET, free_addresses};
use crate::support::{Language, Linkage, Program, success, tool};

/// A member that the programs talk to.
struct Member {
    map: ReplicatedMap,
    /// What a program is told to connect to.
    place: String,
    _dir: TempDir,
}

impl Member {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let [address, ..] = free_addresses();
        let config = Config::new(dir.path()).listen(&address).cluster_secret(SECRET);
        let map = ReplicatedMap::open(config).expect("a node");
        map.wait_ready(PATIENCE).expect("a leader");
        Self { map, place: format!("connect:{address}"), _dir: dir }
    }

    fn end(self) {
        self.map.close().expect("closed");
    }
}

fn run_under_valgrind(name: &str, more: &[&OsStr]) {
    let program = Program::of(name, Linkage::Shared, Language::C);
    let member = Member::start();
    let log = program.data_dir("valgrind");
    let mut valgrind = tool("VALGRIND", "valgrind");
    valgrind.args(["--error-exitcode=9", "--leak-check=full"]);
    // What is possibly lost are threads of the runtime that end after the program's main.
    valgrind
        .args(["--errors-for-leak-kinds=definite,indirect", "--show-leak-kinds=definite,indirect"]);
    valgrind.arg(format!("--suppressions={}", suppressions("valgrind.supp").display()));
    valgrind.arg(format!("--log-file={}", log.display()));
    valgrind.arg(program.exe()).arg(&member.place).args(more);
    let output = valgrind.output().expect("a program that can be started");
    let said = fs::read_to_string(log).expect("what valgrind says");
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{wrong}\n{said}", output.status);
    member.end();
}

fn suppressions(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

/// Runs a program that says so if two of its threads, or one and a callback, touch the same bytes
/// without agreeing who does.
fn run_under_thread_sanitizer(name: &str, more: &[&OsStr]) {
    let program = Program::of(name, Linkage::Raced, Language::C);
    let member = Member::start();
    let options = format!("suppressions={}", suppressions("tsan.supp").display());
    // Where addresses are random to the last bit its shadow has no place; not every container lets
    // a program say that its own are not.
    let still = Command::new("setarch").args(["-R", "true"]).output();
    let allowed = still.is_ok_and(|output| output.status.success());
    let mut command = if allowed {
        let mut still = Command::new("setarch");
        still.arg("-R").arg(program.exe());
        still
    } else {
        program.command()
    };
    success(command.arg(&member.place).args(more).env("TSAN_OPTIONS", options));
    member.end();
}

#[test]
fn values_are_read_and_written_without_a_wrong_access_or_a_leak() {
    run_under_valgrind("values", &[]);
}

#[test]
fn watches_are_told_without_a_wrong_access_or_a_leak() {
    run_under_valgrind("watch", &[]);
}

#[test]
fn leases_and_locks_come_and_go_without_a_wrong_access_or_a_leak() {
    run_under_valgrind("locks", &[]);
}

#[test]
fn eight_threads_share_a_map_without_a_wrong_access_or_a_leak() {
    run_under_valgrind("threads", &[OsStr::new("20")]);
}

#[test]
fn eight_threads_share_a_map_without_a_race() {
    run_under_thread_sanitizer("threads", &[OsStr::new("100")]);
}

#[test]
fn a_watch_is_waited_for_and_closed_without_a_race() {
    run_under_thread_sanitizer("watch", &[]);
}

#[test]
fn who_waits_for_a_lock_and_who_tells_it_to_stop_have_no_race() {
    run_under_thread_sanitizer("locks", &[]);
}
