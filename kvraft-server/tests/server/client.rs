//! How commands reach a cluster whose nodes fail, move and lie.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::common::Servers;
use crate::faulty::{Faulty, Reply, Seen};
use crate::ran::{ask, ask_with, asking};
use crate::single::Single;

const ENTRY: &str = r#"{"key":"k","body":"v","revision":7,"created":7}"#;

/// A node without a cluster, that is ready.
fn node(dir: &tempfile::TempDir) -> Single {
    let node = Single::on(dir.path());
    node.wait_ready();
    node
}

/// A status that names a leader, which is the one member.
fn status(leader: &str) -> Reply {
    let members = json!([{ "name": "a", "http": leader }]);
    Reply::ok(&json!({ "leaderHTTP": leader, "members": members }).to_string())
}

#[test]
fn the_leader_is_learned_from_the_status_of_a_node_that_cannot_help() {
    let dir = tempfile::tempdir().unwrap();
    let (node, leader) = (node(&dir), Single::on(tempfile::tempdir().unwrap().path()));
    drop(leader);
    let url = node.url.clone();
    let asked = Faulty::start(move |_, seen| match seen.line.as_str() {
        "GET /status" => status(&url),
        _ => Reply::status(503),
    });
    ask(&[&asked.url], &["put", "k", "v"]).done();
    assert_eq!(asked.seen().len(), 1);
    assert_eq!(ask(&[&node.url], &["get", "k"]).done(), "v");
}

#[test]
fn a_redirect_is_followed_to_a_member_with_the_body_and_the_token() {
    let leader = Faulty::start(|_, _| Reply::ok(r#"{"key":"k","revision":7}"#));
    let url = leader.url.clone();
    let follower = Faulty::start(move |_, seen| match seen.line.as_str() {
        "GET /status" => status(&url),
        _ => Reply::redirect(&url, seen),
    });
    let mut command = asking(&[&follower.url], &["put", "a/b", "value", "--ttl=1h"]);
    let output = command.env("KVRAFT_BEARER_TOKEN", "kvraft_geheim").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = leader.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].line, "PUT /key/a%2Fb?ttl=1h");
    assert_eq!(seen[0].body, b"value");
    assert_eq!(seen[0].header("authorization"), "Bearer kvraft_geheim");
    let key = seen[0].header("idempotency-key");
    assert!(!key.is_empty() && key == follower.seen()[0].header("idempotency-key"));
}

#[test]
fn real_followers_that_redirect_are_no_hindrance() {
    let servers = Servers::start(3, &["--follower-mode=redirect"]);
    let leader = servers.cluster.leader(&servers.stop).unwrap();
    let follower = servers.url_of((leader + 1) % 3, "");
    ask(&[&follower], &["put", "k", "v"]).done();
    assert_eq!(ask(&[&follower], &["get", "k"]).done(), "v");
    ask(&[&follower], &["transfer"]).done();
    let rows = ask(&[&follower], &["status", "--all", "--json"]).json();
    assert_eq!(rows.len(), 3);
    ask(&[&follower], &["delete", "k"]).done();
}

#[test]
fn nothing_is_sent_to_a_stranger_whoever_sends_us_there() {
    let stranger = Faulty::start(|_, _| Reply::ok("{}"));
    let url = stranger.url.clone();
    let liar = Faulty::start(move |_, seen| match seen.line.as_str() {
        "GET /status" => Reply::ok(r#"{"leaderHTTP":"","members":[]}"#),
        _ => Reply::redirect(&url, seen),
    });
    let mut command = asking(&[&liar.url], &["put", "k", "v"]);
    let output = command.env("KVRAFT_BEARER_TOKEN", "kvraft_geheim").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains("neither an endpoint nor the address of a member"), "{said}");
    assert!(!said.contains("geheim"), "{said}");
    assert_eq!(stranger.all().len(), 0);
    assert_eq!(liar.seen().len(), 1, "the same lie is not heard twice");
    // An honest node beside it is found.
    let honest = Faulty::start(|_, _| Reply::ok(ENTRY));
    ask(&[&liar.url, &honest.url], &["get", "k", "--json"]).done();
    assert_eq!(stranger.all().len(), 0);
}

#[test]
fn a_node_that_sends_us_where_nobody_will_do_is_not_asked_for_ever() {
    // It speaks no TLS, so that it cannot be who it should be.
    let plain = Faulty::start(|_, _| Reply::Close);
    let url = plain.url.replace("http:", "https:");
    let node = Faulty::start(move |_, seen| match seen.line.as_str() {
        "GET /status" => status(&url),
        _ => Reply::redirect(&url, seen),
    });
    let said = ask(&[&node.url], &["get", "k", "--retries=9"]);
    assert!(matches!(said.code, Some(3 | 5)), "{said:?}");
    assert!(node.seen().len() <= 10, "{}", node.seen().len());
}

#[test]
fn only_307_is_a_redirect_and_only_to_the_same_path() {
    for (status, path) in [(301, "/key/k"), (302, "/key/k"), (308, "/key/k"), (307, "/other")] {
        let told = Faulty::start(move |_, seen| {
            let base = seen.header("host");
            Reply::Say(status, format!("location: http://{base}{path}"), String::new())
        });
        let ran = ask(&[&told.url], &["get", "k", "--timeout=5s"]);
        assert!(matches!(ran.code, Some(1 | 5)), "{ran:?}");
        assert_eq!(told.seen().len(), 1, "{status} {path}");
    }
}

#[test]
fn redirects_that_lead_in_a_circle_end_with_the_retries() {
    let circle = Faulty::start(|_, seen| {
        let base = format!("http://{}", seen.header("host"));
        match seen.line.as_str() {
            "GET /status" => status(&base),
            _ => Reply::redirect(&base, seen),
        }
    });
    let said = ask(&[&circle.url], &["put", "k", "v", "--retries=2"]).failed(3);
    assert!(said.contains("was sent on more than 5 times"), "{said}");
    assert!(said.contains("nothing was done"), "{said}");
    assert_eq!(circle.seen().len(), 3 * 6);
}

#[test]
fn what_fails_for_now_is_tried_again() {
    let replies = [
        Reply::Say(503, "retry-after: 0".to_owned(), String::new()),
        Reply::status(429),
        Reply::status(502),
        Reply::status(504),
        Reply::Close,
        Reply::Half,
        Reply::Hang,
    ];
    let count = replies.len();
    let mended = Faulty::start(move |before, seen| match seen.line.as_str() {
        "GET /status" => Reply::status(503),
        _ => replies.get(before).cloned().unwrap_or_else(|| Reply::ok(ENTRY)),
    });
    let entry = ask(&[&mended.url], &["get", "k", "--json", "--attempt-timeout=2s"]).json();
    assert_eq!(entry[0]["body"], "v");
    assert_eq!(mended.seen().len(), count + 1);
}

#[test]
fn a_write_is_sent_again_under_one_idempotency_key() {
    let replies = [Reply::Close, Reply::status(504), Reply::Half];
    let mended = Faulty::start(move |before, seen| match seen.line.as_str() {
        "GET /status" => Reply::Close,
        _ => replies.get(before).cloned().unwrap_or_else(|| Reply::ok(r#"{"revision":7}"#)),
    });
    for command in [vec!["put", "k", "v"], vec!["delete", "k"], vec!["delete", "--prefix=k"]] {
        ask(&[&mended.url], &command).done();
    }
    ask_with(&[&mended.url], &["txn"], b"{}").failed(1);
    let seen = mended.seen();
    let key = |seen: &Seen| seen.header("idempotency-key").to_owned();
    let first: Vec<_> = seen.iter().take(4).map(key).collect();
    assert!(first.iter().all(|key| !key.is_empty() && *key == first[0]), "{first:?}");
    let mut later: Vec<_> = seen.iter().skip(3).map(key).collect();
    later.sort();
    later.dedup();
    assert_eq!(later.len(), 4, "each command has a key of its own");
}

#[test]
fn a_put_whose_answer_was_lost_is_applied_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = node(&dir);
    let url = node.url.clone();
    let lossy = Faulty::start(move |before, seen| match seen.line.as_str() {
        "GET /status" => Reply::Close,
        _ if before % 2 == 0 => Reply::Lose(url.clone()),
        _ => Reply::Pass(url.clone()),
    });
    let put = ask(&[&lossy.url], &["put", "k", "v", "--if-absent", "--json"]).json();
    assert_eq!(put[0]["replaced"], false, "{put:?}");
    let text = br#"{"then": [{"op": "increment", "key": "n"}]}"#;
    let done = ask_with(&[&lossy.url], &["txn"], text).json();
    assert_eq!(done[0]["results"][0]["value"], 1);
    assert_eq!(ask(&[&node.url], &["get", "n"]).done(), "1");
    ask(&[&lossy.url], &["delete", "n", "--if-present"]).done();
    assert_eq!(lossy.seen().len(), 6);
}

#[test]
fn what_must_not_be_done_twice_is_not_sent_again_once_it_may_have_been_done() {
    let lossy = Faulty::start(|before, seen| match (seen.line.as_str(), before) {
        ("GET /status", _) => Reply::Close,
        (_, 0) => Reply::Say(503, "retry-after: 0".to_owned(), String::new()),
        _ => Reply::Close,
    });
    let said = ask(&[&lossy.url], &["transfer"]).failed(4);
    assert!(said.contains("it may or may not have been done"), "{said}");
    assert_eq!(lossy.seen().len(), 2);
}

#[test]
fn a_refusal_after_a_lost_answer_says_that_it_may_have_been_done_before() {
    let lossy = Faulty::start(|before, seen| match (seen.line.as_str(), before) {
        ("GET /status", _) | (_, 0) => Reply::Close,
        _ => Reply::status(409),
    });
    let said = ask(&[&lossy.url], &["remove", "b"]).failed(1);
    assert!(said.contains("as scripted") && said.contains("earlier attempt was lost"), "{said}");
}

#[test]
fn what_will_not_pass_is_reported_at_once() {
    let codes = [(400, 2), (401, 5), (403, 5), (404, 1), (409, 1), (410, 1), (412, 1), (413, 2)];
    for (status, code) in codes.into_iter().chain([(422, 2), (500, 4), (507, 1)]) {
        let plain = Faulty::start(move |_, _| Reply::status(status));
        let other = Faulty::start(|_, _| Reply::ok("{}"));
        let said = ask(&[&plain.url, &other.url], &["put", "k", "v"]).failed(code);
        let told = format!("{} answered {status}: as scripted", plain.url);
        assert!(said.contains(&told), "{said}");
        assert_eq!((plain.all().len(), other.all().len()), (1, 0));
    }
}

#[test]
fn it_is_tried_as_often_as_the_retries_allow_and_the_last_word_says_what_of() {
    let busy = Faulty::start(|_, _| Reply::Say(503, "retry-after: 0".into(), String::new()));
    let said = ask(&[&busy.url, "http://127.0.0.1:1"], &["put", "k", "v", "--retries=4"]).failed(3);
    for told in [
        "gave up on PUT /key/k after 5 attempts",
        "as often as --retries allows",
        &format!("{} answered 503", busy.url),
        "http://127.0.0.1:1 Connection refused",
        "nothing was done",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!((1..=4).contains(&busy.seen().len()), "{:?}", busy.seen());
    let once = Faulty::start(|_, _| Reply::status(503));
    ask(&[&once.url], &["get", "k", "--retries=0"]).failed(3);
    assert_eq!(once.all().len(), 1);
}

#[test]
fn a_node_that_says_nothing_costs_no_more_than_the_timeout() {
    let deaf = Faulty::start(|_, _| Reply::Hang);
    let flags = ["--timeout=1s", "--attempt-timeout=200ms"];
    let said = ask(&[&deaf.url], &[&["get", "k"][..], &flags].concat()).failed(3);
    assert!(said.contains("did not answer in time"), "{said}");
    let said = ask(&[&deaf.url], &[&["put", "k", "v"][..], &flags].concat()).failed(4);
    assert!(said.contains("it may or may not have been done"), "{said}");
    // The next one is asked instead.
    let other = Faulty::start(|_, _| Reply::ok(ENTRY));
    ask(&[&deaf.url, &other.url], &["get", "k", "--json", "--attempt-timeout=200ms"]).done();
}

#[test]
fn a_server_that_wishes_for_patience_gets_it_and_others_are_asked_meanwhile() {
    let busy = Faulty::start(|_, seen| match seen.line.as_str() {
        "GET /status" => Reply::Close,
        _ => Reply::Say(503, "retry-after: 30".into(), String::new()),
    });
    let said = ask(&[&busy.url], &["get", "k", "--timeout=5s"]).failed(3);
    assert!(said.contains("the time of --timeout is over"), "{said}");
    assert_eq!(busy.seen().len(), 1);
    let other = Faulty::start(|_, _| Reply::ok(ENTRY));
    ask(&[&busy.url, &other.url], &["get", "k", "--json", "--timeout=25s"]).done();
}

#[test]
fn a_leader_that_has_moved_is_followed_to_its_new_address() {
    let done = r#"{"succeeded":true,"revision":7,"results":[]}"#;
    let new = Faulty::start(move |_, _| Reply::ok(done));
    let to = new.url.clone();
    let old = Faulty::start(move |before, seen| match (seen.line.as_str(), before) {
        ("GET /status", _) => status(&to),
        (_, 0) => Reply::ok(done),
        _ => Reply::redirect(&to, seen),
    });
    let to = old.url.clone();
    let named = Faulty::start(move |_, seen| match seen.line.as_str() {
        "GET /status" => status(&to),
        _ => Reply::redirect(&to, seen),
    });
    let lines: String =
        (0..1600).map(|n| format!("{{\"key\":\"{n}\",\"body\":\"v\"}}\n")).collect();
    ask_with(&[&named.url], &["import"], lines.as_bytes()).done();
    // The first batch told it of the second, the second of the new one, where the rest went.
    assert_eq!((named.seen().len(), old.seen().len(), new.seen().len()), (0, 2, 3));
}

/// Answers as a node whose map is at `revision`, and which tells these events, one after the other.
fn telling(revision: u64, told: &[&str]) -> Faulty {
    let told: Vec<_> = told.iter().map(|text| (*text).to_owned()).collect();
    let count = AtomicUsize::new(0);
    Faulty::start(move |_, seen| match seen.line.split('?').next() {
        Some("GET /status") => Reply::Close,
        Some("GET /keys") => {
            Reply::ok(&json!({ "keys": [], "cursor": null, "revision": revision }).to_string())
        }
        _ => {
            let at = count.fetch_add(1, Ordering::Relaxed);
            Reply::ok(told.get(at).map_or("", String::as_str))
        }
    })
}

fn changes(revision: u64) -> String {
    format!("id: {revision}\nevent: changes\ndata: {{\"revision\":{revision}}}\n\n")
}

#[test]
fn a_watch_that_breaks_goes_on_after_the_last_whole_event_and_tells_none_twice() {
    let half = format!("{}id: 6\nevent: changes\ndata: {{\"rev", changes(5));
    let rest = format!(": quiet\n\n{}{}", changes(5), changes(6));
    let node = telling(4, &["", &half, &rest]);
    let events = ask(&[&node.url], &["watch", "--count=2", "--json"]).json();
    let revisions: Vec<_> =
        events.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [5, 6]);
    let seen = node.seen();
    let asked = seen.iter().skip(1).map(|seen| (seen.line.as_str(), seen.header("last-event-id")));
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [("GET /watch?from=5", ""), ("GET /watch?from=5", ""), ("GET /watch", "5")],
        "what happened since the beginning is not lost, even before the first event"
    );
}

#[test]
fn a_watch_that_breaks_again_and_again_for_nothing_is_given_up() {
    let node = telling(4, &[]);
    let said = ask(&[&node.url], &["watch", "--retries=3"]).failed(3);
    assert!(said.contains("breaks again and again"), "{said}");
    let word = r#"{"type":"urn:kvraft:compacted","detail":"too far behind"}"#;
    let node = telling(4, &[&format!("event: error\ndata: {word}\n\n")]);
    let said = ask(&[&node.url], &["watch", "--from=1"]).failed(1);
    assert!(said.contains("too far behind"), "{said}");
}

#[test]
fn a_snapshot_is_not_older_than_the_question_and_whole_or_a_failure() {
    let begin = |revision: u64| {
        format!("id:\nevent: snapshot-begin\ndata: {{\"revision\":{revision}}}\n\n")
    };
    let entries = r#"{"entries":[{"key":"a","body":"1"}]}"#;
    let half = format!("{}event: snapshot-entries\ndata: {entries}\n\n", begin(9));
    let whole = format!("{half}id: 9\nevent: snapshot-end\ndata: {{\"revision\":9}}\n\n");
    let node = telling(9, &[&begin(5), &whole]);
    assert_eq!(ask(&[&node.url], &["list", "--snapshot"]).done(), "a\n");
    let node = telling(9, &[&half, &whole]);
    let said = ask(&[&node.url], &["export", "--snapshot"]).failed(3);
    assert!(said.contains("not whole"), "{said}");
}

#[test]
fn what_is_wrong_with_the_way_in_which_a_command_is_called_is_exit_code_2() {
    for (flags, said) in [
        (vec!["--url=localhost:80"], "http://"),
        (vec!["--url=http://name:geheim@a"], "no password"),
        (vec!["--timeout=never"], "--timeout"),
        (vec!["--timeout=2h"], "50min"),
        (vec!["--retries=-1"], "--retries"),
        (vec!["--cert=c"], "go together"),
        (vec!["--ca=/nowhere"], "/nowhere"),
        (vec!["--bearer-token-file=/nowhere"], "/nowhere"),
        (vec!["--consistency=none"], "linearizable"),
        (vec!["--colour"], "--colour"),
    ] {
        let told = ask(&["http://127.0.0.1:1"], &[&["get", "k"], flags.as_slice()].concat());
        let told = told.failed(2);
        assert!(told.contains(said) && !told.contains("geheim"), "{flags:?}: {told}");
    }
}
