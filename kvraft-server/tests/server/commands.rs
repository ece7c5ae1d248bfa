//! Every command once, with what it takes and with what it does not.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};

use kvraft_server::demo::client::Failure;
use kvraft_server::demo::stop::Stop;

use crate::ran::{ask, ask_with, asking};
use crate::single::{PATIENCE, Single, command, signal};

/// A node without a cluster, and the directory that it is on.
struct Here {
    node: Single,
    dir: tempfile::TempDir,
}

impl Here {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Single::on(&dir.path().join("data"));
        node.wait_ready();
        Self { node, dir }
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        ask(&[&self.node.url], arguments).done()
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut lines = ask(&[&self.node.url], &[arguments, &["--json"]].concat()).json();
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    #[track_caller]
    fn failed(&self, code: i32, arguments: &[&str]) -> String {
        ask(&[&self.node.url], arguments).failed(code)
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn a_value_is_put_read_and_deleted_byte_by_byte() {
    let here = Here::start();
    assert!(here.done(&["put", "k", "v"]).starts_with("created at revision "));
    assert!(here.done(&["put", "k", "w"]).starts_with("replaced at revision "));
    assert_eq!(here.done(&["get", "k"]), "w");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    ask_with(&[&here.node.url], &["put", "large", "-"], &bytes).done();
    assert!(ask(&[&here.node.url], &["get", "large"]).stdout == bytes);
    let file = here.path("value");
    here.done(&["get", "large", "--output", &file]);
    assert!(fs::read(&file).unwrap() == bytes);
    here.done(&["put", "copy", "--file", &file]);
    assert!(ask(&[&here.node.url], &["get", "copy"]).stdout == bytes);
    here.done(&["put", "signed", "-1", "--ttl=1h"]);
    assert_eq!(here.done(&["get", "signed"]), "-1");
    here.done(&["put", "late", "--ttl=1h", "value"]);
    assert_eq!(here.done(&["get", "late"]), "value");
    here.done(&["put", "empty", ""]);
    assert_eq!(here.done(&["get", "empty"]), "");
    here.done(&["put", "/wD/", "--key-base64", "bytes"]);
    let entry = here.json(&["get", "/wD/", "--key-base64"]);
    assert_eq!((&entry["key_base64"], &entry["body"]), (&"/wD/".into(), &"bytes".into()));
}

#[test]
fn what_is_not_there_is_exit_code_1_and_what_cannot_be_meant_2() {
    let here = Here::start();
    here.done(&["put", "k", "v"]);
    let file = here.path("value");
    fs::write(&file, "value").unwrap();
    assert!(here.done(&["delete", "k"]).starts_with("deleted k at revision "));
    here.failed(1, &["delete", "k"]);
    assert!(here.failed(1, &["get", "k"]).contains("404"));
    assert!(!Path::new(&here.path("none")).exists());
    here.failed(1, &["get", "k", "--output", &here.path("none")]);
    assert!(!Path::new(&here.path("none")).exists(), "half a file is none");
    for wrong in [
        &["put", "k"][..],
        &["put", "k", "v", "--file", &file],
        &["put", "k", "v", "--ttl=1h", "--lease=1"],
        &["put", "k", "v", "--ttl=soon"],
        &["put", "k", "v", "--idempotency-key=a\nb"],
        &["get", "???", "--key-base64"],
        &["get", ""],
        &["delete"],
        &["delete", "k", "--prefix=k"],
        &["delete", "--prefix=k", "--if-present"],
        &["delete", "--prefix=k", "--all"],
    ] {
        here.failed(2, wrong);
    }
    here.failed(1, &["put", "k", "--file", "/nowhere"]);
}

#[test]
fn a_write_may_depend_on_what_is_there_and_may_pass() {
    let here = Here::start();
    let first = here.json(&["put", "k", "v", "--if-absent"]);
    assert_eq!(first["replaced"], false);
    assert!(here.failed(1, &["put", "k", "w", "--if-absent"]).contains("412"));
    let at = format!("--if-revision={}", first["revision"]);
    let second = here.json(&["put", "k", "w", &at]);
    here.failed(1, &["put", "k", "x", &at]);
    here.failed(1, &["put", "none", "x", "--if-present"]);
    here.failed(1, &["delete", "k", &at]);
    here.failed(2, &["put", "k", "x", &at, "--if-absent"]);
    let again = ["put", "k", "y", "--idempotency-key=once"];
    assert_eq!(here.json(&again)["revision"], here.json(&again)["revision"]);
    let at = second["revision"].as_u64().unwrap();
    here.failed(1, &["delete", "k", &format!("--if-revision={at}")]);
    here.done(&["put", "passing", "x", "--ttl=1h"]);
    assert!(here.json(&["get", "passing"])["lease"].is_string());
}

#[test]
fn keys_are_listed_in_pages_in_order_and_at_one_moment() {
    let here = Here::start();
    let lines: String =
        (0..6000).map(|n| format!("{{\"key\":\"k{n:05}\",\"body\":\"{n}\"}}\n")).collect();
    ask_with(&[&here.node.url], &["import"], lines.as_bytes()).done();
    let wanted: Vec<_> = (0..6000).map(|n| format!("k{n:05}")).collect();
    for flags in [&["list"][..], &["list", "--snapshot"], &["list", "--consistency=local"]] {
        let listed = here.done(flags);
        assert!(listed.lines().eq(wanted.iter().map(String::as_str)), "{flags:?}");
    }
    let reversed = here.done(&["list", "--reverse", "--limit=5100"]);
    assert!(reversed.lines().eq(wanted.iter().rev().take(5100).map(String::as_str)));
    assert_eq!(here.done(&["list", "--prefix=k0000", "--values", "--limit=1"]), "k00000\t0\n");
    assert_eq!(
        here.done(&["list", "--start=k00010", "--end=k00012", "--null"]),
        "k00010\0k00011\0"
    );
    assert_eq!(here.done(&["list", "--count"]), "6000\n");
    here.done(&["put", "odd\n\u{1b}", "v"]);
    assert_eq!(here.done(&["list", "--start=o"]), "odd\\x0a\\x1b\n");
    let entry = here.json(&["list", "--start=o", "--values"]);
    assert_eq!((&entry["key"], &entry["body"]), (&"odd\n\u{1b}".into(), &"v".into()));
    for wrong in [&["list", "--limit=0"][..], &["list", "--count", "--values"], &["list", "k"]] {
        here.failed(2, wrong);
    }
}

#[test]
fn a_transaction_says_what_it_did() {
    let here = Here::start();
    let file = here.path("txn");
    let text = r#"{"compares": [{"key": "a", "target": "exists", "value": false}],
        "then": [{"op": "put", "key": "a", "body": "1"}], "else": [{"op": "get", "key": "a"}]}"#;
    fs::write(&file, text).unwrap();
    assert_eq!(here.json(&["txn", &file])["succeeded"], true);
    let otherwise = ask_with(&[&here.node.url], &["txn"], text.as_bytes());
    assert!(String::from_utf8_lossy(&otherwise.stdout).contains(r#""body":"1""#));
    otherwise.failed(1);
    ask_with(&[&here.node.url], &["txn"], b"{").failed(2);
    here.failed(1, &["txn", "/nowhere"]);
}

#[test]
fn entries_go_out_and_in_as_lines_and_as_files() {
    let here = Here::start();
    let keys = ["a", "a/b", "a/b/c", "..", "/x", "grün", "100%", ".env"];
    for key in keys {
        here.done(&["put", key, &format!("value of {key}")]);
    }
    here.done(&["put", "/wA=", "--key-base64", "bytes"]);
    let large = "x".repeat(500_000);
    ask_with(&[&here.node.url], &["put", "large", "-"], large.as_bytes()).done();
    let (lines, tree) = (here.path("out.ndjson"), here.path("tree/"));
    assert!(here.done(&["export", &lines]).contains("exported 10 entries"));
    here.done(&["export", &tree, "--format=tree", "--snapshot"]);
    assert_eq!(fs::read_to_string(here.path("tree/a/b/c")).unwrap(), "value of a/b/c");
    assert_eq!(fs::read_to_string(here.path("tree/a%f")).unwrap(), "value of a");
    let all = here.done(&["export"]);
    assert_eq!(all, fs::read_to_string(&lines).unwrap());
    for (from, prefix) in [(&lines, "lines/"), (&tree, "tree/")] {
        let told = here.done(&["import", from, "--prefix", prefix]);
        assert_eq!(told, "imported 10 entries\n");
        let again = here.done(&["export", "--prefix", prefix, "--strip-prefix"]);
        let entries = |text: &str| -> Vec<serde_json::Value> {
            let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
            let bare = |mut entry: serde_json::Value| {
                entry["revision"].take();
                entry["created"].take();
                entry
            };
            text.lines().map(read).map(bare).collect()
        };
        assert_eq!(entries(&again), entries(&all), "{prefix}");
    }
    assert!(here.failed(1, &["export", &tree]).contains("not empty"));
    here.failed(2, &["export", "--resume"]);
    here.failed(1, &["import", "/nowhere"]);
    let broken = b"{\"key\":\"a\",\"body\":\"1\"}\nnonsense\n";
    let said = ask_with(&[&here.node.url], &["import"], broken).failed(1);
    assert!(said.contains("line 2") && said.contains("--skip 0"), "{said}");
    let twice = b"{\"key\":\"t\",\"body\":\"1\"}\n{\"key\":\"t\",\"body\":\"2\"}\n";
    ask_with(&[&here.node.url], &["import"], twice).done();
    assert_eq!(here.done(&["get", "t"]), "2", "the last one counts");
    let long = format!("{{\"key\":\"{}\",\"body\":\"1\"}}\n", "l".repeat(600));
    let said = ask_with(&[&here.node.url], &["import", "--skip=0"], long.as_bytes()).failed(2);
    assert!(said.contains("key lll"), "{said}");
}

#[test]
fn an_export_that_broke_off_goes_on() {
    let here = Here::start();
    let lines: String =
        (0..20).map(|n| format!("{{\"key\":\"k{n:02}\",\"body\":\"{n}\"}}\n")).collect();
    ask_with(&[&here.node.url], &["import"], lines.as_bytes()).done();
    let whole = here.path("out");
    here.done(&["export", &whole]);
    let text = fs::read_to_string(&whole).unwrap();
    fs::write(here.path("again.part"), &text[..text.len() / 2]).unwrap();
    here.done(&["export", &here.path("again"), "--resume"]);
    assert_eq!(fs::read_to_string(here.path("again")).unwrap(), text);
    let dead = ["export", &here.path("dead"), "--url=http://127.0.0.1:1", "--retries=1"];
    let said = here.failed(3, &dead);
    assert!(said.contains("go on with --resume"), "{said}");
}

/// Waits for an end, and kills what does not come to one.
fn ended(child: &mut Child) -> Option<i32> {
    let over = || child.try_wait().unwrap().ok_or_else(|| Failure::ForNow("runs".to_owned()));
    let status = Stop::default().retry("the end", PATIENCE, over);
    status.unwrap_or_else(|error| panic!("{error}: {:?}", child.kill())).code()
}

#[test]
fn changes_are_told_as_they_happen_until_ctrl_c() {
    let here = Here::start();
    let mut watch = asking(&[&here.node.url], &["watch", "--prefix=k", "--from=1", "--previous"]);
    let mut watch = watch.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut told = BufReader::new(watch.stdout.take().unwrap()).lines();
    here.done(&["put", "other", "v"]);
    here.done(&["put", "k", "v"]);
    assert!(told.next().unwrap().unwrap().ends_with(" put k v"));
    here.done(&["delete", "k"]);
    assert!(told.next().unwrap().unwrap().ends_with(" delete k"));
    signal("INT", watch.id());
    assert_eq!(ended(&mut watch), Some(130));
    let all = ["watch", "k", "--from=1", "--count=2", "--json"];
    let events = ask(&[&here.node.url], &all).json();
    assert_eq!(events[0]["changes"][0]["body"], "v");
    assert_eq!(events[1]["changes"][0]["deleted"], true);
    let whole = ask(&[&here.node.url], &["watch", "--resync", "--count=3", "--json"]).json();
    assert_eq!(whole[1]["entries"][0]["key"], "other");
    here.failed(2, &["watch", "k", "--prefix=k"]);
    here.failed(2, &["watch", "--count=0"]);
}

#[test]
fn ctrl_c_ends_a_command_that_waits_for_its_input_or_for_a_node() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("backup");
    let deaf = crate::faulty::Faulty::start(|_, _| crate::faulty::Reply::Hang);
    let backup = ["backup", "--output", file.to_str().unwrap()];
    for arguments in [&["put", "k", "-"][..], &["get", "k"], &backup] {
        let mut command = asking(&[&deaf.url], arguments);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut seen = || {
            if takes_ctrl_c(child.id()) {
                Ok(())
            } else {
                Err(Failure::ForNow("starts".to_owned()))
            }
        };
        Stop::default().retry("begin", PATIENCE, &mut seen).unwrap();
        signal("INT", child.id());
        assert_eq!(ended(&mut child), Some(130), "{arguments:?}");
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "kvraft-server: interrupted\n");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Whether a process takes SIGINT in a way of its own, which it does before it begins anything.
fn takes_ctrl_c(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|caught| u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0)
}

#[test]
fn whoever_has_read_enough_is_not_told_that_the_pipe_is_broken() {
    let here = Here::start();
    let lines: String =
        (0..6000).map(|n| format!("{{\"key\":\"{n:0200}\",\"body\":\"v\"}}\n")).collect();
    ask_with(&[&here.node.url], &["import"], lines.as_bytes()).done();
    for arguments in [&["list"][..], &["export"], &["completions", "bash"]] {
        let mut command = asking(&[&here.node.url], arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 10];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((ended(&mut child), said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn the_state_of_the_nodes_is_told_for_people_and_for_programs() {
    let here = Here::start();
    assert!(here.done(&["status"]).contains("leader"));
    assert_eq!(here.json(&["status"])["status"]["role"], "leader");
    let dead = "http://127.0.0.1:1";
    let half = ask(&[&here.node.url, dead], &["status"]);
    assert!(half.failed(3).contains(dead));
    assert_eq!(here.json(&["members"])["members"][0]["voter"], true);
    assert!(here.done(&["members"]).contains("leader"));
    here.failed(1, &["transfer"]);
    here.failed(1, &["promote", "nobody"]);
    here.failed(1, &["demote", "nobody"]);
    here.failed(1, &["remove", "nobody"]);
    here.failed(2, &["shrink", "none"]);
    here.failed(2, &["shrink", "0"]);
    let url = format!("--url={}", here.node.url);
    assert_eq!(here.json(&["verify", &url])["verdict"], "agreed");
    here.failed(2, &["refill", &url, "--url=http://127.0.0.1:1"]);
    here.failed(1, &["refill", &url]);
    here.failed(2, &["backup"]);
}

#[test]
fn files_of_nodes_are_spoken_of_in_json_too() {
    let here = Here::start();
    let file = here.path("backup");
    let backup = here.json(&["backup", "--output", &file]);
    assert_eq!(backup["counts"]["entries"], 0);
    assert_eq!(here.json(&["verify", "--backup", &file])["sound"], true);
    let restored = ["restore", "--from", &file, "--data-dir", &here.path("new"), "--name=n1"];
    assert!(here.json(&restored)["clusterID"].is_string());
    let recover =
        ["recover-quorum", "--data-dir", &here.path("new"), "--into", &here.path("newer")];
    assert!(here.failed(2, &recover).contains("LOST"));
    here.failed(2, &["verify", "--backup", &file, "--timeout=1s"]);
}

#[test]
fn a_selftest_answers_with_0_or_1_and_leaves_nothing_behind() {
    let here = Here::start();
    assert_eq!(here.done(&["selftest"]).lines().last(), Some("all of it works"));
    assert_eq!(here.done(&["list", "--count"]), "0\n");
    let dead = "http://127.0.0.1:1";
    let ran = ask(&[&here.node.url, dead], &["selftest", "--timeout=1s"]);
    assert!(ran.failed(1).contains(dead));
    here.done(&["healthcheck"]);
    here.failed(1, &["healthcheck", "--url", dead]);
}

#[test]
fn shells_and_manuals_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = ask(&[], &["completions", shell]).done();
        assert!(script.contains("recover-quorum") && script.contains("attempt-timeout"));
    }
    ask(&[], &["completions", "cmd"]).failed(2);
    let page = ask(&[], &["man"]).done();
    assert!(page.contains(".TH") && page.contains("Exit codes"), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man1");
    ask(&[], &["man", "--dir", pages.to_str().unwrap()]).done();
    assert!(pages.join("kvraft-server-put.1").exists());
    let mut full = command(&["man"]);
    let output = full.stdout(fs::File::create("/dev/full").unwrap()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
