//! What operators build around the program: service managers, configuration, collectors, restarts.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use kvraft_server::demo::client::{Client, Failure};
use kvraft_server::demo::stop::Stop;
use serde_json::Value;

use crate::common::{PROGRAM, Servers, call};
use crate::single::{PATIENCE, Single, command, signal};

/// What a program says that ends by itself: exit code, standard output, standard error.
fn said(command: &mut Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_service_manager_hears_when_the_node_serves_and_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = |wanted: &str| {
        let mut text = [0; 256];
        let begin = std::time::Instant::now();
        loop {
            let length = manager.recv(&mut text).unwrap();
            if String::from_utf8_lossy(&text[..length]).lines().next() == Some(wanted) {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{wanted} was not told");
        }
    };
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let mut command = command(&["--data-dir", data, "--listen-http=127.0.0.1:0"]);
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "50000")];
    let mut node = Single::start(command.envs(variables));
    hear("READY=1");
    hear("WATCHDOG=1");
    signal("TERM", node.child.id());
    hear("STOPPING=1");
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_is_printed_is_a_configuration_that_gives_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    let (file, printed) = (dir.path().join("kvraft.toml"), dir.path().join("printed.toml"));
    let secret = "5ec3e7".repeat(8);
    std::fs::write(&file, format!("name = \"a\"\ncluster_secret = \"{secret}\"\n")).unwrap();
    let file = file.to_str().unwrap();
    let print = |file: &str| {
        let mut command = command(&["--config", file, "--print-config", "--request-timeout=7s"]);
        said(command.env("KVRAFT_LOG", "warn").env("RAFT_NODE_HTTP_PORT", "8123"))
    };
    let (code, text, _) = print(file);
    assert_eq!(code, Some(0));
    for line in [
        &format!("name = \"a\"  # {file}"),
        "cluster_secret = \"***\"",
        "request_timeout = \"7s\"  # --request-timeout",
        "log = \"warn\"  # KVRAFT_LOG",
        "listen_http = \"127.0.0.1:8123\"  # RAFT_NODE_HTTP_PORT",
        "shutdown_grace = \"10s\"  # default",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&secret));
    std::fs::write(&printed, &text).unwrap();
    let (code, again, error) = print(printed.to_str().unwrap());
    assert_eq!(code, Some(0), "{error}");
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect()
    };
    let unset = |lines: Vec<String>| lines.into_iter().filter(|line| !line.starts_with('#'));
    assert!(unset(values(&again)).eq(unset(values(&text))), "{again}");
}

#[test]
fn a_check_names_everything_that_is_wrong_and_opens_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = format!("--data-dir={}", dir.path().join("data").display());
    let wrong = ["--check", &data, "--listen-http=8080", "--shutdown-grace=1", "--log-format=xml"];
    let (code, _, error) = said(&mut command(&wrong));
    assert_eq!(code, Some(1));
    for name in ["listen_http", "shutdown_grace", "log_format"] {
        assert!(error.contains(name), "{error}");
    }
    let missing = ["--check", &data, "--token-file=/nowhere/tokens"];
    let (code, _, error) = said(&mut command(&missing));
    assert!(code == Some(1) && error.contains("/nowhere/tokens"), "{error}");
    let (code, _, error) = said(&mut command(&["--check", &data, "--listen=127.0.0.1:0"]));
    assert!(code == Some(1) && error.contains("cluster_secret"), "{error}");
    let (code, told, error) = said(&mut command(&["--check", &data]));
    assert_eq!((code, told.trim()), (Some(0), "the settings are valid"), "{error}");
    assert!(!dir.path().join("data").exists());
}

#[test]
fn whoever_comes_from_another_server_may_keep_its_variables() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(&[]);
    command
        .env("RAFT_NODE_ID", "old")
        .env("RAFT_NODE_HTTP_PORT", "0")
        .env("RAFT_NODE_DATA_DIR", dir.path());
    let node = Single::start(&mut command);
    node.wait_ready();
    assert_eq!(Client::default().status(&node.url).unwrap()["name"], "old");
    drop(node);
    let node = Single::start(command.env("KVRAFT_NAME", "old").env("RAFT_NODE_ID", "not me"));
    node.wait_ready();
    assert_eq!(Client::default().status(&node.url).unwrap()["name"], "old");
}

#[test]
fn what_is_logged_changes_at_a_hangup() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("kvraft.toml"), dir.path().join("data"));
    std::fs::write(&file, "log = \"info\"\n").unwrap();
    let mut node = Single::start(&mut command(&[
        "--config",
        file.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
        "--listen-http=127.0.0.1:0",
    ]));
    node.wait_ready();
    let mut log = node.child.stderr.take().unwrap();
    let (lines, heard) = mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = log.read(&mut piece) {
            text += &String::from_utf8_lossy(&piece[..length]);
            // The test may have ended.
            lines.send(text.clone()).ok();
        }
    });
    let until = |wanted: &str| {
        while !heard.recv_timeout(PATIENCE).unwrap().contains(wanted) {}
    };
    std::fs::write(&file, "log = \"no=filter=\"\n").unwrap();
    signal("HUP", node.child.id());
    until("what to log stays as it was");
    std::fs::write(&file, "log = \"kvraft_server=debug\"\n").unwrap();
    signal("HUP", node.child.id());
    until("took over what to log");
    call("GET", &format!("{}/status", node.url), &[], None);
    until("/status");
    drop(node);
    reading.join().unwrap();
}

/// A collector that takes what comes, and says what it was.
fn collector() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (spans, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Some(document) = taken(stream.unwrap()) else { continue };
            if spans.send(document).is_err() {
                return;
            }
        }
    });
    (url, heard)
}

fn taken(mut stream: TcpStream) -> Option<Value> {
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        text.extend_from_slice(&piece[..length]);
        let end = text.windows(4).position(|four| four == b"\r\n\r\n");
        let Some((head, body)) = end.map(|end| text.split_at(end + 4)) else { continue };
        let head = String::from_utf8_lossy(head).to_lowercase();
        let wanted = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
        if body.len() == wanted.parse::<usize>().unwrap() {
            assert!(head.starts_with("post /v1/traces "), "{head}");
            let document = serde_json::from_slice(body).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
                .unwrap();
            return Some(document);
        }
    }
}

#[test]
fn a_traced_write_is_a_span_of_its_request_with_proposal_and_commit_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (url, heard) = collector();
    let data = dir.path().to_str().unwrap();
    let flags =
        ["--otlp-sample-ratio=0", "--listen-http=127.0.0.1:0", "--data-dir", data, "--name=n"];
    let mut node = Single::start(command(&flags).arg(format!("--otlp-endpoint={url}")));
    node.wait_ready();
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let header = format!("00-{trace}-{parent}-01");
    let headers = [("traceparent", header.as_str())];
    let key = format!("{}/key/hunter2", node.url);
    // By chance, of which there is none; and the first write opens a session.
    assert_eq!(call("PUT", &key, &[], Some(b"hunter2")).status, 201);
    assert_eq!(call("PUT", &key, &headers, Some(b"hunter2")).status, 200);
    signal("TERM", node.child.id());
    assert_eq!(node.child.wait().unwrap().code(), Some(0));
    let mut spans: Vec<Value> = Vec::new();
    while spans.len() < 3 {
        let document = heard.recv_timeout(PATIENCE).unwrap();
        assert!(!document.to_string().contains("hunter2"), "{document}");
        let resource = document["resourceSpans"][0].clone();
        assert!(resource["resource"].to_string().contains("kvraft-server"), "{resource}");
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().iter().cloned());
    }
    assert_eq!(spans.len(), 3, "{spans:?}");
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).unwrap();
    let (request, propose, commit) = (of("PUT /key/{id}"), of("propose"), of("commit"));
    assert!(spans.iter().all(|span| span["traceId"] == trace), "{spans:?}");
    assert_eq!((&request["parentSpanId"], &request["kind"]), (&parent.into(), &2.into()));
    assert_eq!(propose["parentSpanId"], request["spanId"]);
    assert_eq!(commit["parentSpanId"], propose["spanId"]);
    let nanos = |span: &Value, at: &str| span[at].as_str().unwrap().parse::<u128>().unwrap();
    assert!(nanos(request, "startTimeUnixNano") < nanos(request, "endTimeUnixNano"));
}

#[test]
fn a_collector_that_is_gone_holds_nobody_up_and_lost_spans_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    // Nothing listens there.
    let flags =
        ["--otlp-endpoint=http://127.0.0.1:1", "--listen-http=127.0.0.1:0", "--data-dir", data];
    let node = Single::start(&mut command(&flags));
    node.wait_ready();
    let dropped = || {
        let told = call("GET", &format!("{}/metrics", node.url), &[], None);
        let text = String::from_utf8(told.body).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix("kvraft_trace_spans_dropped_total "));
        match line.unwrap() {
            "0" => Err(Failure::ForNow("none was lost".to_owned())),
            _ => Ok(()),
        }
    };
    Stop::default().retry("lost spans", PATIENCE, dropped).unwrap();
}

#[test]
fn a_leader_that_is_stopped_under_load_loses_no_acknowledged_write() {
    let mut servers = Servers::start(3, &[]);
    let leader = servers.cluster.leader(&servers.stop).unwrap();
    let urls: Vec<_> = (0..3).map(|node| servers.url_of(node, "")).collect();
    let (over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pid = servers.cluster.nodes()[leader].pid().unwrap();
    let write = |writer: usize| {
        let (client, mut kept) = (Client::default(), Vec::new());
        for number in 0.. {
            if over.load(Ordering::Relaxed) {
                break;
            }
            // Through every node, the one that stops among them.
            let key = format!("{writer}-{number}");
            if client.put(&urls[(writer + number) % 3], key.as_bytes(), key.as_bytes()).is_ok() {
                acknowledged.fetch_add(1, Ordering::Relaxed);
                kept.push(key);
            }
        }
        kept
    };
    let more = |wanted: usize| {
        let now = || match acknowledged.load(Ordering::Relaxed) {
            count if count >= wanted => Ok(count),
            count => Err(Failure::ForNow(format!("{count} writes"))),
        };
        servers.stop.retry("writes", PATIENCE, now).unwrap()
    };
    let kept = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|writer| scope.spawn(move || write(writer))).collect();
        let before = more(200);
        signal("TERM", pid);
        // It refuses connections once it is done with its requests.
        let gone = || match Client::default().status(&urls[leader]) {
            Ok(_) => Err(Failure::ForNow("it answers".to_owned())),
            Err(_) => Ok(()),
        };
        servers.stop.retry("the end of the leader", PATIENCE, gone).unwrap();
        more(before + 200);
        over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    servers.cluster.restart(leader, &servers.stop).unwrap();
    // Read at the one that was stopped: what it has acknowledged and what it has missed.
    let client = Client::default();
    for key in &kept {
        let read = client.get(&urls[leader], key.as_bytes()).unwrap();
        assert_eq!(read.as_deref(), Some(key.as_bytes()), "{key} of {}", kept.len());
    }
}

/// What is inside the first pair of these signs, and what is behind it.
fn inside(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close)
}

/// The metrics of a query, each with the labels that it is picked by, and all labels it is grouped by.
fn parts(query: &str) -> (Vec<(String, BTreeSet<String>)>, BTreeSet<String>) {
    let word = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    let (mut metrics, mut grouped) = (Vec::new(), BTreeSet::new());
    let mut rest = query;
    while let Some(at) = rest.find("kvraft_") {
        let name: String = rest[at..].chars().take_while(|sign| word(*sign)).collect();
        rest = &rest[at + name.len()..];
        let picked = rest.strip_prefix('{').and_then(|_| inside(rest, '{', '}'));
        let labels = picked.map_or("", |(labels, _)| labels).split(',');
        let labels = labels.map(|label| label.chars().take_while(|sign| word(*sign)).collect());
        metrics.push((name, labels.filter(|label: &String| !label.is_empty()).collect()));
    }
    let mut rest = query;
    while let Some((_, behind)) = rest.split_once(" by ") {
        let (labels, after) = inside(behind, '(', ')').unwrap();
        grouped.extend(labels.split(',').map(|label| label.trim().to_owned()));
        rest = after;
    }
    (metrics, grouped)
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_and_labels_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let documented = read("docs/metrics.md");
    let row =
        |name: &str| documented.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/kvraft.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut queries: Vec<_> =
        targets.map(|target| (text(&target["expr"]), text(&target["legendFormat"]))).collect();
    let alerts = read("deploy/prometheus/alerts.yaml");
    let rules: Vec<_> = alerts.split("      - alert: ").skip(1).collect();
    queries.extend(rules.iter().map(|rule| {
        let expression = rule.split("        expr: ").nth(1).unwrap().lines().next().unwrap();
        (expression.to_owned(), rule.replace("$labels.", ""))
    }));
    assert!(queries.len() > 40, "{queries:?}");
    for (query, legend) in queries {
        let (metrics, mut shown) = parts(&query);
        assert!(!metrics.is_empty(), "{query}");
        let mut known: BTreeSet<_> = ["job", "instance"].map(str::to_owned).into();
        for (name, picked) in metrics {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                name.strip_suffix(end)
                    .filter(|base| row(base).is_some_and(|row| row.contains("| histogram |")))
            });
            let row = row(base.unwrap_or(&name)).unwrap_or_else(|| panic!("{name} of {query}"));
            let mut own: BTreeSet<_> =
                row.split('`').skip(3).step_by(2).map(str::to_owned).collect();
            own.extend(["job", "instance"].map(str::to_owned));
            assert!(picked.is_subset(&own), "{picked:?} of {query}");
            known.extend(own);
            known.extend(base.map(|_| "le".to_owned()));
        }
        let mut rest = legend.as_str();
        while let Some((label, after)) =
            rest.split_once("{{").and_then(|(_, rest)| rest.split_once("}}"))
        {
            shown.insert(label.trim().to_owned());
            rest = after;
        }
        assert!(shown.is_subset(&known), "{shown:?} of {query}");
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let unit = std::fs::read_to_string(root.join("deploy/systemd/kvraft.service")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("kvraft.service");
    // Here the program is not installed.
    std::fs::write(&copy, unit.replace("/usr/bin/kvraft-server", PROGRAM)).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("kvraft.service:"), "{said}");
}

/// The memory of a process that is its own, in bytes: mapped files are the system's.
fn own_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The short form of `bench/python/http_load.py`.
#[test]
fn a_thousand_idle_watches_beside_busy_clients_cost_a_bounded_memory() {
    const WATCHES: usize = 1000;
    /// The same work is done so often.
    const ROUNDS: usize = 4;
    /// What may come on top of the first round: a part of the changes kept for watches.
    const GROWTH: u64 = 48 << 20;
    let dir = tempfile::tempdir().unwrap();
    let node = Single::on(dir.path());
    node.wait_ready();
    let pid = node.child.id();
    let before = own_memory(pid);
    let watches: Vec<_> = (0..WATCHES)
        .map(|_| {
            let mut stream = TcpStream::connect(node.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"GET /watch?prefix=idle HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
            let mut begin = [0; 15];
            stream.read_exact(&mut begin).unwrap();
            assert_eq!(&begin, b"HTTP/1.1 200 OK");
            stream
        })
        .collect();
    let round = || {
        std::thread::scope(|scope| {
            for writer in 0..32 {
                let url = &node.url;
                scope.spawn(move || {
                    let client = Client::default();
                    for number in 0..16 {
                        let key = format!("{writer}-{number}");
                        client.put(url, key.as_bytes(), &[7; 1024]).unwrap();
                        client.get(url, key.as_bytes()).unwrap();
                    }
                });
            }
        });
        own_memory(pid)
    };
    let warm = round();
    let last = (1..ROUNDS).map(|_| round()).max().unwrap();
    assert!(warm.saturating_sub(before) < 256 << 20, "{before} {warm}");
    assert!(last.saturating_sub(warm) < GROWTH, "{before} {warm} {last}");
    let told = call("GET", &format!("{}/metrics", node.url), &[], None);
    let told = String::from_utf8(told.body).unwrap();
    assert!(told.contains(&format!("\nkvraft_http_watches {WATCHES}\n")), "{told}");
    drop(watches);
}
