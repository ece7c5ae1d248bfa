//! Conditions, request ids, counters, transactions, leases, locks and watches over HTTP.

use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Servers, call};

/// Posts a document, or nothing.
fn post(servers: &Servers, path: &str, body: &Value) -> Answer {
    let text = body.to_string();
    let body = (!body.is_null()).then_some(text.as_bytes());
    call("POST", &servers.url(path), &[], body)
}

#[test]
fn a_condition_that_does_not_hold_is_412_with_the_current_revision() {
    let servers = Servers::start(1, &[]);
    let url = servers.url("/key/k");
    let only_new = [("if-none-match", "*")];
    assert_eq!(call("PUT", &url, &only_new, Some(b"1")).status, 201);
    let taken = call("PUT", &url, &only_new, Some(b"2"));
    assert_eq!(taken.status, 412);
    let revision = taken.problem()["revision"].as_u64().unwrap();
    let tag = format!("\"{revision}\"");
    assert_eq!(call("PUT", &url, &[("if-match", &tag)], Some(b"2")).status, 200);
    assert_eq!(call("DELETE", &url, &[("if-match", &tag)], None).status, 412);
    assert_eq!(call("PUT", &url, &[("if-match", "17")], Some(b"3")).status, 400);
    assert_eq!(servers.get("/key/k?raw").body, b"2");
    assert_eq!(call("DELETE", &url, &[("if-match", "*")], None).status, 204);
    assert_eq!(call("PUT", &url, &[("if-match", "*")], Some(b"3")).status, 412);
}

#[test]
fn an_idempotency_key_applies_a_request_once_on_any_node_and_is_no_other_requests() {
    let servers = Servers::start(3, &[]);
    let key = [("idempotency-key", "0b7a")];
    let answers: Vec<_> = (0..3)
        .map(|node| call("POST", &servers.url_of(node, "/key/n/increment?delta=5"), &key, None))
        .collect();
    for answer in &answers {
        assert_eq!((answer.status, &answer.json()["value"]), (200, &json!(5)), "{answer:?}");
        assert_eq!(answer.json(), answers[0].json());
    }
    let other = call("POST", &servers.url("/key/n/increment?delta=6"), &key, None);
    assert_eq!(other.status, 422);
    other.problem();
    assert_eq!(post(&servers, "/key/n/increment", &Value::Null).json()["value"], 6);
}

#[test]
fn a_counter_that_is_none_or_would_overflow_is_refused() {
    let servers = Servers::start(1, &[]);
    servers.put("/key/text", b"x");
    servers.put("/key/most", i64::MAX.to_string().as_bytes());
    for path in ["/key/text/increment", "/key/most/increment", "/key/n/increment?delta=1e3"] {
        assert_eq!(post(&servers, path, &Value::Null).status, 400, "{path}");
    }
}

#[test]
fn a_transaction_answers_what_each_operation_did() {
    let servers = Servers::start(1, &[]);
    servers.put("/key/a", b"10");
    let txn = json!({
        "compares": [{"key": "a", "target": "value", "value": "10"}],
        "then": [{"op": "increment", "key": "a", "delta": -7}, {"op": "put", "key": "b", "body": "x"}],
        "else": [{"op": "get", "key": "a"}],
    });
    let done = post(&servers, "/txn", &txn).json();
    assert_eq!(done["succeeded"], true);
    assert_eq!(done["results"], json!([{"value": 3}, {"replaced": false}]));
    let other = post(&servers, "/txn", &txn).json();
    assert_eq!(other["succeeded"], false);
    assert_eq!(other["results"][0]["entry"]["body"], "3");
    let twice = json!({"then": [{"op": "get", "key": "a"}, {"op": "delete", "key": "a"}]});
    for wrong in [twice, json!({"then": [{"op": "jump", "key": "a"}]}), json!([])] {
        let refused = post(&servers, "/txn", &wrong);
        assert_eq!(refused.status, 400, "{wrong}");
        refused.problem();
    }
    assert_eq!(servers.get("/key/a?raw").body, b"3");
}

#[test]
fn a_transaction_that_is_refused_says_which_step_and_which_limit() {
    const MIB: usize = 1 << 20;
    let servers = Servers::start(1, &[]);
    let put = |key: &str, len: usize| json!({"op": "put", "key": key, "body": "v".repeat(len)});
    let ops = |ops: &[Value]| post(&servers, "/txn", &json!({ "then": ops }));
    let text = post(&servers, "/txn", &json!({"then": [put("text", 1)]}));
    assert_eq!(text.status, 200);
    let count = |key: &str| json!({"op": "increment", "key": key});
    for (refused, status, said) in [
        (ops(&[count("n"), count("text")]), 400, "then[1]: the value under the key is no decimal"),
        (ops(&[put("a", 1), put("b", 5 * MIB)]), 400, "then[1]: the value has 5242880 bytes"),
        (ops(&[put("a", 1), put("b", 1), put("a", 1)]), 400, "then[2]: the key \"a\""),
        (ops(&["a", "b", "c"].map(|key| put(key, 3 * MIB))), 400, "max_command_bytes is 8388608"),
        (ops(&[put("a", 16 * MIB)]), 413, "max_command_bytes, 8388608"),
    ] {
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.detail().contains(said), "{}", refused.detail());
    }
}

#[test]
fn a_body_that_would_be_ignored_is_refused() {
    let servers = Servers::start(1, &[]);
    for path in ["/key/n/increment", "/leases?ttl=10s", "/locks/l?ttl=10s"] {
        assert_eq!(post(&servers, path, &json!({"delta": 5})).status, 400, "{path}");
    }
    assert_eq!(servers.get("/key/n").status, 404);
}

#[test]
fn a_range_is_deleted_only_when_it_is_named() {
    let servers = Servers::start(1, &[]);
    for key in ["a1", "a2", "b1"] {
        servers.put(&format!("/key/{key}"), b"x");
    }
    assert_eq!(servers.delete("/keys").status, 400);
    assert_eq!(servers.delete("/keys?prefix=a&all").status, 400);
    assert_eq!(servers.delete("/keys?prefix=").status, 400, "nothing is named");
    assert_eq!(servers.delete("/keys?start=&prefix=").status, 400, "nothing is named");
    assert_eq!(servers.delete("/keys?prefix=a").json()["deleted"], 2);
    assert_eq!(servers.get("/keys?count").json(), json!({"count": 1}));
    assert_eq!(servers.get("/keys?count&limit=1").status, 400);
    assert_eq!(servers.delete("/keys?all").json()["deleted"], 1);
}

#[test]
fn what_has_a_time_to_live_or_a_lease_ends_with_it() {
    let servers = Servers::start(1, &[]);
    let begin = Instant::now();
    assert_eq!(servers.put("/key/short?ttl=300ms", b"x").status, 201);
    while servers.get("/key/short").status == 200 {
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    assert!(begin.elapsed() >= Duration::from_millis(300));
    let granted = post(&servers, "/leases?ttl=60s", &Value::Null);
    assert_eq!(granted.status, 201);
    let lease = granted.json()["lease"].as_str().unwrap().to_owned();
    assert_eq!(servers.put(&format!("/key/k?lease={lease}"), b"x").status, 201);
    assert_eq!(servers.get("/key/k").json()["lease"], lease);
    let path = format!("/leases/{lease}");
    let info = servers.get(&path).json();
    assert_eq!((&info["keys"], &info["ttl_ms"]), (&json!(["k"]), &json!(60_000)));
    assert_eq!(post(&servers, &format!("{path}/keep-alive"), &Value::Null).status, 204);
    assert_eq!(servers.delete(&path).status, 204);
    assert_eq!(servers.get("/key/k").status, 404);
    let gone = servers.get(&path);
    assert_eq!((gone.status, &gone.problem()["type"]), (404, &json!("urn:kvraft:expired")));
    for wrong in ["/leases", "/leases?ttl=-1s", "/leases?ttl=1ms", "/leases?ttl=9999y"] {
        assert_eq!(post(&servers, wrong, &Value::Null).status, 400, "{wrong}");
    }
}

#[test]
fn a_lock_is_held_by_one_lease_and_its_tokens_grow() {
    let servers = Servers::start(1, &[]);
    let first = post(&servers, "/locks/l?ttl=60s", &Value::Null).json();
    assert_eq!(post(&servers, "/locks/l?ttl=60s", &Value::Null).status, 409);
    assert_eq!(post(&servers, "/locks/l?ttl=60s&wait=50ms", &Value::Null).status, 409);
    assert_eq!(post(&servers, "/locks/l?ttl=1s&wait=5s", &Value::Null).status, 400);
    let lease = first["lease"].as_str().unwrap();
    let again = post(&servers, &format!("/locks/l?lease={lease}"), &Value::Null).json();
    assert_eq!(again["token"], first["token"]);
    assert_eq!(servers.delete(&format!("/locks/l?lease={lease}")).status, 204);
    assert_eq!(servers.delete(&format!("/locks/l?lease={lease}")).status, 404);
    let second = post(&servers, "/locks/l?ttl=60s", &Value::Null).json();
    assert!(second["token"].as_u64() > first["token"].as_u64());
    assert_eq!(post(&servers, "/locks/l", &Value::Null).status, 400);
    for header in ["idempotency-key", "if-match"] {
        let refused = call("POST", &servers.url("/locks/m?ttl=60s"), &[(header, "*")], None);
        assert_eq!(refused.status, 400, "{header} is not ignored");
    }
}

/// The next event of a stream: its id, its name and its data.
fn event(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> (String, String, Value) {
    let (mut id, mut name, mut data) = ("as before".to_owned(), String::new(), Value::Null);
    for line in lines {
        let line = line.unwrap();
        match line.split_once(": ") {
            Some(("id", text)) => text.clone_into(&mut id),
            Some(("event", text)) => text.clone_into(&mut name),
            None if line == "id:" => id.clear(),
            Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
            _ if line.is_empty() && !name.is_empty() => return (id, name, data),
            _ => {}
        }
    }
    panic!("the stream has ended");
}

fn watch(
    servers: &Servers,
    path: &str,
    last: Option<&str>,
) -> impl Iterator<Item = std::io::Result<String>> {
    let mut request = ureq::get(servers.url(path));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let answer = request.call().unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    BufReader::new(answer.into_body().into_reader()).lines()
}

#[test]
fn a_watch_tells_every_change_and_goes_on_where_it_ended() {
    let servers = Servers::start(1, &[]);
    let mut told = watch(&servers, "/watch?prefix=a&previous", None);
    servers.put("/key/b", b"not watched");
    servers.put("/key/a1", b"x");
    servers.delete("/key/a1");
    let (id, name, data) = event(&mut told);
    assert_eq!((name.as_str(), &data["changes"][0]["body"]), ("changes", &json!("x")));
    drop(told);
    let mut rest = watch(&servers, "/watch?prefix=a&previous", Some(&id));
    let (_, _, data) = event(&mut rest);
    let change = &data["changes"][0];
    assert_eq!((&change["deleted"], &change["previous"]["body"]), (&json!(true), &json!("x")));
    servers.put("/key/a2", b"y");
    for (path, last) in
        [("/watch?resync", None), ("/watch?resync", Some("")), ("/watch?resync&from=0", None)]
    {
        let mut all = watch(&servers, path, last);
        let told: Vec<_> = (0..3).map(|_| event(&mut all)).collect();
        let names: Vec<_> = told.iter().map(|(_, name, _)| name.as_str()).collect();
        assert_eq!(names, ["snapshot-begin", "snapshot-entries", "snapshot-end"], "{path}");
        // Who is cut off in the midst of a snapshot comes back without an id, and gets it whole.
        let ids: Vec<_> = told.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(ids[..2], ["", "as before"]);
        assert_eq!(told[2].2["revision"].to_string(), ids[2]);
    }
    let mut held = watch(&servers, "/watch?resync", Some(&id));
    assert_eq!(event(&mut held).1, "changes", "what came after is still held");
    assert_eq!(servers.get("/watch?from=0").status, 410);
    assert_eq!(servers.get("/watch?from=x").status, 400);
    assert_eq!(servers.get("/watch?key=a&prefix=b").status, 400);
}

#[test]
fn a_long_poll_answers_with_the_next_revision_or_304() {
    let servers = Servers::start(1, &[]);
    let revision = servers.put("/key/k", b"1").json()["revision"].as_u64().unwrap();
    assert_eq!(servers.get(&format!("/key/k?wait=20ms&revision={revision}")).status, 304);
    assert_eq!(servers.get("/key/k?wait=10s&revision=1").status, 200);
    let url = servers.url(&format!("/key/k?wait=20s&revision={revision}"));
    let waiting = std::thread::spawn(move || call("GET", &url, &[], None));
    servers.put("/key/k", b"2");
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, &answer.json()["body"]), (200, &json!("2")));
    assert_eq!(servers.get("/key/k?wait=1s").status, 400);
}

#[test]
fn a_long_poll_on_a_node_that_is_behind_waits_for_what_is_new_to_the_client() {
    let servers = Servers::start(3, &[]);
    for round in 0..10 {
        let put = call("PUT", &servers.url_of(round % 3, "/key/k"), &[], Some(b"v"));
        let revision = put.json()["revision"].as_u64().unwrap();
        let begin = Instant::now();
        let path = format!("/key/k?wait=100ms&revision={revision}");
        let answer = call("GET", &servers.url_of((round + 1) % 3, &path), &[], None);
        assert_eq!(answer.status, 304);
        assert!(begin.elapsed() >= Duration::from_millis(100), "{:?}", begin.elapsed());
    }
}

#[test]
fn pages_go_backwards_too() {
    let servers = Servers::start(1, &[]);
    for key in ["a1", "a2", "a3", "b1"] {
        servers.put(&format!("/key/{key}"), b"x");
    }
    let first = servers.get("/keys?prefix=a&reverse&limit=2").json();
    assert_eq!(first["keys"], json!(["a3", "a2"]));
    let cursor = first["cursor"].as_str().unwrap();
    let rest = servers.get(&format!("/keys?prefix=a&reverse&limit=2&cursor={cursor}")).json();
    assert_eq!((&rest["keys"], &rest["cursor"]), (&json!(["a1"]), &Value::Null));
}
