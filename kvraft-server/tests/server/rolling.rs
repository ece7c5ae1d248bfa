//! What clients that retry notice of a cluster whose nodes go and come: nothing.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use kvraft_server::demo::client::Failure;
use serde_json::Value;

use crate::common::Servers;
use crate::ran::{ask, asking};
use crate::single::{PATIENCE, signal};

/// Stops a node as its supervisor does, waits for its end, and starts it again.
fn roll(servers: &mut Servers, node: usize) {
    let pid = servers.cluster.nodes()[node].pid().unwrap();
    signal("TERM", pid);
    let ended = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if stat.contains(") Z ") { Ok(()) } else { Err(Failure::ForNow(stat)) }
    };
    servers.stop.retry("end", PATIENCE, ended).unwrap();
    servers.cluster.restart(node, &servers.stop).unwrap();
}

/// Puts and reads until it is told to stop; returns how often.
fn work(urls: &[&str], name: &str, over: &AtomicBool) -> usize {
    let mut count = 0;
    while !over.load(Ordering::Relaxed) {
        let (key, value) = (format!("{name}/{count}"), count.to_string());
        ask(urls, &["put", &key, &value]).done();
        assert_eq!(ask(urls, &["get", &key]).done(), value);
        count += 1;
    }
    count
}

#[test]
fn a_rolling_restart_and_a_crash_cost_a_retrying_client_no_error_and_a_watch_no_event() {
    restart_all("forward");
}

#[test]
fn nor_do_they_where_followers_redirect() {
    restart_all("redirect");
}

fn restart_all(mode: &str) {
    let mut servers = Servers::start(3, &[&format!("--follower-mode={mode}")]);
    let all: Vec<_> = (0..3).map(|node| servers.url_of(node, "")).collect();
    let urls: Vec<_> = all.iter().map(String::as_str).collect();
    let mut watch = asking(&urls, &["watch", "--from=1", "--json"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains("\"last\"")) {
            lines.push(told.next().expect("a watch that goes on"));
        }
        (lines, told)
    });
    let over = AtomicBool::new(false);
    let counts = std::thread::scope(|scope| {
        let over = &over;
        let urls = &urls;
        let workers = ["a", "b"].map(|name| scope.spawn(move || work(urls, name, over)));
        for node in 0..3 {
            roll(&mut servers, node);
        }
        let leader = servers.cluster.leader(&servers.stop).unwrap();
        servers.cluster.restart(leader, &servers.stop).unwrap();
        over.store(true, Ordering::Relaxed);
        workers.map(|worker| worker.join().unwrap())
    });
    assert!(counts.iter().all(|count| *count > 3), "{mode}: {counts:?}");
    ask(&urls, &["put", "last", "v"]).done();
    // The pipe stays open until the watch has ended: it is Ctrl-C that ends it.
    let (lines, _told) = reader.join().unwrap();
    signal("INT", watch.id());
    assert_eq!(watch.wait().unwrap().code(), Some(130));
    check(&lines, counts, mode);
}

/// Every put is told once, in the order of revisions.
fn check(lines: &[String], counts: [usize; 2], mode: &str) {
    let events: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let revisions: Vec<_> =
        events.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted_by(|one, next| one < next), "{mode}: {revisions:?}");
    let changes = events.iter().flat_map(|event| event["changes"].as_array().unwrap());
    let mut keys: Vec<_> = changes.map(|change| change["key"].as_str().unwrap()).collect();
    keys.sort_unstable();
    let put = |(name, count): (&'static str, usize)| (0..count).map(move |n| format!("{name}/{n}"));
    let mut wanted: Vec<_> = ["a", "b"].into_iter().zip(counts).flat_map(put).collect();
    wanted.push("last".to_owned());
    wanted.sort_unstable();
    assert_eq!(keys, wanted, "{mode}");
}
