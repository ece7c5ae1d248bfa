//! Programs in C under valgrind, as clients of a member outside: it has no room for the address space
//! that a node's files are mapped into. Sanitizers watch nodes, in the other tests.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use kvraft::Config;
use kvraft::blocking::ReplicatedMap;
use tempfile::TempDir;

use crate::mixed::{PATIENCE, SECRET, free_addresses};
use crate::support::{Language, Linkage, Program, tool};

/// A member with whom the programs talk.
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
    let suppressions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/valgrind.supp");
    valgrind.arg(format!("--suppressions={}", suppressions.display()));
    valgrind.arg(format!("--log-file={}", log.display()));
    valgrind.arg(program.exe()).arg(&member.place).args(more);
    let output = valgrind.output().expect("a program that can be started");
    let said = fs::read_to_string(log).expect("what valgrind says");
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{wrong}\n{said}", output.status);
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
