//! Backups over HTTP and by the commands, and what is made of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{PROGRAM, Servers, call};

fn program(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a command that has to succeed.
fn done(arguments: &[&str]) -> String {
    let output = program(arguments);
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

/// Runs a command that has to fail.
fn failed(arguments: &[&str]) -> String {
    let output = program(arguments);
    assert!(!output.status.success(), "{}", said(&output));
    said(&output)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A backup of `keys` entries of 100 kB, in a file.
fn backup_of(keys: u8, file: &Path) {
    let servers = Servers::start(1, &[]);
    for n in 0..keys {
        assert_eq!(servers.put(&format!("/key/k{n:03}"), &vec![n; 100_000]).status, 201);
    }
    done(&["backup", "--url", &servers.url(""), "--output", text(file)]);
}

#[test]
fn a_backup_is_taken_through_a_follower() {
    let servers = Servers::start(3, &[]);
    assert_eq!(servers.put("/key/k", b"v").status, 201);
    let etag = servers.put("/key/k", b"w").header("etag").to_owned();
    let leader = servers.cluster.leader(&servers.stop).unwrap();
    let follower = (leader + 1) % 3;
    let answer = call("GET", &servers.url_of(follower, "/backup"), &[], None);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert!(answer.header("etag") >= etag.as_str(), "it is as fresh as the last write");
    assert_eq!(call("GET", &servers.url("/backup?x=1"), &[], None).status, 400);
    assert_eq!(call("POST", &servers.url("/backup"), &[], None).status, 405);

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kept");
    let (dead, url) = ("http://127.0.0.1:1", servers.url_of(follower, ""));
    let told = done(&["backup", "--url", dead, "--url", &url, "--output", text(&file)]);
    assert!(told.contains("entries 1"), "{told}");
    assert!(!dir.path().join("kept.part").exists());
}

#[test]
fn a_backup_is_verified_and_restored_by_the_commands_and_a_damaged_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data_dir) = (dir.path().join("kept"), dir.path().join("n1"));
    backup_of(3, &file);
    let restore = ["restore", "--from", text(&file), "--data-dir", text(&data_dir), "--name", "n1"];
    done(&restore);
    assert!(failed(&restore).contains("is not empty"));
    assert!(done(&["verify", "--backup", text(&file)]).ends_with("sound\n"));
    assert!(done(&["verify", "--data-dir", text(&data_dir)]).ends_with("sound\n"));
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let verify = ["verify", "--backup", text(&file)];
    assert_eq!(program(&verify).status.code(), Some(1));
    assert!(failed(&verify).contains("DAMAGED frame "));
    let other = dir.path().join("n2");
    let restore = ["restore", "--from", text(&file), "--data-dir", text(&other), "--name", "n2"];
    assert!(failed(&restore).contains("frame "));
    assert!(!other.exists());
}

#[test]
fn a_quorum_is_recovered_only_by_whoever_says_that_writes_may_be_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (file, old, new) =
        (dir.path().join("kept"), dir.path().join("old"), dir.path().join("new"));
    backup_of(1, &file);
    let restore = ["restore", "--from", text(&file), "--data-dir", text(&old), "--name", "n1"];
    assert!(program(&restore).status.success());
    let mut recover = vec!["recover-quorum", "--data-dir", text(&old), "--into", text(&new)];
    let refused = program(&recover);
    assert!(!refused.status.success() && said(&refused).contains("LOST"), "{}", said(&refused));
    assert!(!new.exists());
    recover.push("--yes-lose-writes");
    let done = program(&recover);
    assert!(done.status.success() && said(&done).contains("node n1: kept"), "{}", said(&done));
    assert!(program(&["verify", "--data-dir", text(&new)]).status.success());
}

#[test]
fn a_server_that_is_killed_in_the_midst_leaves_no_backup_behind() {
    let mut servers = Servers::start(1, &[]);
    for n in 0..100_u8 {
        assert_eq!(servers.put(&format!("/key/k{n}"), &vec![n; 1_000_000]).status, 201);
    }
    let mut answer = ureq::get(servers.url("/backup")).call().unwrap();
    let mut reader = answer.body_mut().with_config().limit(1 << 30).reader();
    let mut first = [0; 1000];
    std::io::Read::read_exact(&mut reader, &mut first).unwrap();
    servers.cluster.kill(0);
    let rest = std::io::Read::read_to_end(&mut reader, &mut Vec::new());
    assert!(rest.is_err(), "a body that broke off must not look whole");
}

#[test]
fn a_restore_that_is_killed_leaves_nothing_that_is_opened_and_can_be_run_again() {
    let dir = tempfile::tempdir().unwrap();
    let (file, new) = (dir.path().join("kept"), dir.path().join("new"));
    backup_of(120, &file);
    let restore = ["restore", "--from", text(&file), "--data-dir", text(&new), "--name", "n1"];
    // Each child is killed a little later in its work: at the next thing that it makes.
    let steps = ["RESTORING", "FORMAT", "state/1.new/data.mdb", "state/1", "log/data.mdb"];
    let mut unfinished = 0;
    for step in steps.iter().chain(&steps) {
        let mut child = Command::new(PROGRAM).args(restore).stdout(Stdio::null()).spawn().unwrap();
        while !new.join(step).exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if !new.join("RESTORING").exists() {
            // It was quicker, and is done; or had not begun.
            drop(fs::remove_dir_all(&new));
            continue;
        }
        unfinished += 1;
        let done = program(&["verify", "--data-dir", text(&new)]);
        let refused = said(&done);
        assert!(!done.status.success(), "{refused}");
        let opened = program(&["--data-dir", text(&new), "--listen-http", "127.0.0.1:0"]);
        assert!(!opened.status.success() && said(&opened).contains("did not finish"));
    }
    assert!(unfinished > 0, "no child was killed in time");
    let done = program(&restore);
    assert!(done.status.success(), "{}", said(&done));
    let done = program(&["verify", "--data-dir", text(&new)]);
    assert!(done.status.success() && said(&done).contains("entries: 120"), "{}", said(&done));
}
