//! The program as an operator meets it: flags, files, signals, exit codes.

use std::io::{Read as _, Write as _};
use std::process::Stdio;

use kvraft_server::demo::client::{Client, Failure};
use kvraft_server::demo::stop::Stop;

use crate::common::{Servers, call};
use crate::single::{PATIENCE, Single, command, signal};

/// What a program says that should not run, which is killed if it does.
fn refusal(arguments: &[&str]) -> String {
    let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let running = || Failure::ForNow("it runs".to_owned());
    let ended =
        Stop::default().retry("end", PATIENCE, || child.try_wait().unwrap().ok_or_else(running));
    let status = ended.unwrap_or_else(|_| {
        child.kill().unwrap();
        child.wait().unwrap()
    });
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(1).filter(|_| !said.contains("Usage")).or(Some(2)), "{said}");
    said
}

#[test]
fn a_data_directory_is_all_that_a_single_node_needs_and_it_keeps_what_it_was_told() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::default();
    {
        let mut node = Single::on(dir.path());
        node.wait_ready();
        client.put(&node.url, b"k", b"v").unwrap();
        signal("TERM", node.child.id());
        assert_eq!(node.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        node.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "one line is all that programs have to read");
    }
    let node = Single::on(dir.path());
    node.wait_ready();
    assert_eq!(client.get(&node.url, b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn a_request_that_has_begun_is_finished_before_the_node_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Single::on(dir.path());
    node.wait_ready();
    let mut put = node.begin_put();
    signal("TERM", node.child.id());
    node.wait_closed();
    put.write_all(b"lue").unwrap();
    let mut answer = String::new();
    put.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}

#[test]
fn whoever_waits_for_a_lock_is_sent_away_with_its_place_when_its_node_stops() {
    let servers = Servers::start(3, &["--shutdown-grace=60s"]);
    let lock = |node, query: &str| {
        call("POST", &servers.url_of(node, &format!("/locks/l?{query}")), &[], None)
    };
    let held = lock(0, "ttl=60s").json()["lease"].as_str().unwrap().to_owned();
    let lease = |ttl: &str| {
        let path = format!("/leases?ttl={ttl}");
        call("POST", &servers.url_of(0, &path), &[], None).json()["lease"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (given, next) = (lease("90s"), lease("91s"));
    let client = Client::default();
    let revision = || client.status(&servers.url_of(0, "")).unwrap()["revision"].as_u64().unwrap();
    let before = revision();
    let waits: Vec<_> = [format!("lease={given}&wait=50s"), "ttl=60s&wait=50s".to_owned()]
        .iter()
        .map(|query| {
            let url = servers.url_of(1, &format!("/locks/l?{query}"));
            std::thread::spawn(move || call("POST", &url, &[], None))
        })
        .collect();
    // Both have come in the queue, one with a lease of its own.
    let queued = || match revision() - before {
        0..3 => Err(Failure::ForNow("not in the queue".to_owned())),
        _ => Ok(()),
    };
    servers.stop.retry("queue", PATIENCE, queued).unwrap();
    let begin = std::time::Instant::now();
    signal("TERM", servers.cluster.nodes()[1].pid().unwrap());
    for wait in waits {
        let answer = wait.join().unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    let url = servers.url_of(0, &format!("/locks/l?lease={held}"));
    assert_eq!(call("DELETE", &url, &[], None).status, 204);
    // Nobody stands before: it was the next in the queue, or it is free.
    assert_eq!(lock(0, &format!("lease={next}")).status, 200);
}

#[test]
fn a_second_signal_ends_the_wait_for_requests() {
    let dir = tempfile::tempdir().unwrap();
    let mut node = Single::on(dir.path());
    node.wait_ready();
    let put = node.begin_put();
    signal("TERM", node.child.id());
    node.wait_closed();
    signal("TERM", node.child.id());
    assert_eq!(node.child.wait().unwrap().code(), Some(1));
    drop(put);
}

#[test]
fn requests_that_take_longer_than_the_grace_do_not_hold_the_node_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut node = Single::start(&mut command(&[
        "--data-dir",
        path,
        "--listen-http=127.0.0.1:0",
        "--shutdown-grace=50ms",
    ]));
    node.wait_ready();
    let put = node.begin_put();
    signal("TERM", node.child.id());
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
    drop(put);
}

#[test]
fn the_demo_ends_by_itself_when_nobody_watches() {
    let output = command(&["demo", "--max-files=12", "--clients=4"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("every acknowledged key is there"), "{said}");
}

#[test]
fn a_node_stops_when_its_owner_dies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let mut command =
        command(&["serve", "--stop-with-stdin", "--listen-http=127.0.0.1:0", "--data-dir", path]);
    let mut node = Single::start(command.stdin(Stdio::piped()));
    drop(node.child.stdin.take());
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}

#[test]
fn flags_win_over_variables_and_those_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kvraft.toml");
    let data = dir.path().join("data");
    let text = format!(
        "name = \"file\"\ndata_dir = {:?}\nlisten_http = \"127.0.0.1:1\"\nmax_value_bytes = 7\n",
        data.to_str().unwrap()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = command(&["--config", file.to_str().unwrap(), "--name=flag"]);
    command.env("KVRAFT_NAME", "variable").env("KVRAFT_LISTEN_HTTP", "127.0.0.1:0");
    let node = Single::start(&mut command);
    node.wait_ready();
    assert_eq!(Client::default().status(&node.url).unwrap()["name"], "flag");
    let large = call("PUT", &format!("{}/key/k", node.url), &[], Some(b"12345678"));
    assert_eq!(large.status, 413);
}

#[test]
fn the_health_port_has_probes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let path = dir.path().to_str().unwrap();
    let health = format!("127.0.0.1:{port}");
    let mut command = command(&["--data-dir", path, "--listen-http=127.0.0.1:0"]);
    let node = Single::start(command.arg(format!("--listen-health={health}")));
    node.wait_ready();
    for base in [&node.url, &format!("http://{health}")] {
        for probe in ["/livez", "/readyz", "/healthz"] {
            let answer = call("GET", &format!("{base}{probe}"), &[], None);
            assert_eq!((answer.status, answer.body.as_slice()), (200, &b"ok\n"[..]));
        }
    }
    for closed in ["/status", "/key/k", "/keys"] {
        assert_eq!(call("GET", &format!("http://{health}{closed}"), &[], None).status, 404);
    }
}

#[test]
fn a_healthcheck_exits_with_what_it_found() {
    let dir = tempfile::tempdir().unwrap();
    let node = Single::on(dir.path());
    assert!(command(&["healthcheck", "--url", &node.url]).status().unwrap().success());
    let same =
        command(&["healthcheck"]).env("KVRAFT_LISTEN_HTTP", node.address()).status().unwrap();
    assert!(same.success());
    let proxied = command(&["healthcheck", "--url", &node.url])
        .envs([("http_proxy", "http://127.0.0.1:1"), ("ALL_PROXY", "http://127.0.0.1:1")])
        .status()
        .unwrap();
    assert!(proxied.success(), "the node in the same container is not behind its proxy");
    let text = refusal(&["healthcheck", "--url", "http://127.0.0.1:1"]);
    assert!(text.contains("http://127.0.0.1:1/livez"), "{text}");
}

#[test]
fn a_secret_is_printed_alone() {
    let output = command(&["gen-secret"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end().len(), 64);
}

#[test]
fn a_wrong_setting_ends_the_program_with_a_sentence_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", dir.path().display());
    let cases = [
        (vec!["--listen-http=0.0.0.0:0"], "insecure_http"),
        (vec!["--listen=127.0.0.1:0"], "cluster_secret"),
        (vec!["--request-timeout=5"], "request_timeout"),
        (vec!["--cluster-secret-file=/nowhere"], "/nowhere"),
        (vec!["--config=/nowhere.toml"], "/nowhere.toml"),
        (vec!["--log=a=b=c"], "log"),
        (vec!["--colour=red"], "--colour"),
    ];
    for (wrong, said) in cases {
        let arguments = [wrong.as_slice(), &[data.as_str(), "--listen-http=127.0.0.1:0"]].concat();
        // The flag that is tested comes last, as the last one counts.
        let arguments: Vec<_> = arguments.into_iter().rev().collect();
        let text = refusal(&arguments);
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn two_programs_on_one_data_directory_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Single::on(dir.path());
    let data = format!("--data-dir={}", dir.path().display());
    let text = refusal(&[&data, "--listen-http=127.0.0.1:0"]);
    assert!(text.contains("in use"), "{text}");
}

#[test]
fn the_log_can_be_json_and_never_shows_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", dir.path().display());
    let secret = "5ec3e7".repeat(8);
    let mut node = Single::start(
        command(&[&data, "--listen-http=127.0.0.1:0", "--listen=127.0.0.1:0"]).args([
            "--log-format=json",
            "--log=trace",
            "--cluster-secret",
            &secret,
        ]),
    );
    signal("TERM", node.child.id());
    let mut log = String::new();
    node.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string());
    }
    assert!(!log.contains(&secret));
}

#[test]
fn a_leader_that_is_asked_to_stop_hands_over_and_no_write_fails() {
    let servers = Servers::start(3, &[]);
    let leader = servers.cluster.leader(&servers.stop).unwrap();
    let survivor = (leader + 1) % 3;
    let url = servers.url_of(survivor, "");
    let client = Client::default();
    let before = client.status(&url).unwrap()["leaderID"].clone();
    signal("TERM", servers.cluster.nodes()[leader].pid().unwrap());
    let mut key = 0_u32;
    let moved = || {
        key += 1;
        let put = client.put(&url, key.to_string().as_bytes(), b"v");
        assert!(put.is_ok(), "{put:?}");
        let now = client.status(&url)?["leaderID"].clone();
        if now == before || now == "" { Err(Failure::ForNow(format!("{now}"))) } else { Ok(()) }
    };
    servers.stop.retry("a new leader", PATIENCE, moved).unwrap();
}
