//! The HTTP interface of the built binary, on one node and on three.

use std::io::Read as _;

use serde_json::{Value, json};
use ureq::SendBody;

use crate::common::{Servers, call, read};

#[test]
fn a_value_of_any_bytes_comes_back_as_it_went_in() {
    let servers = Servers::start(1, &[]);
    let created = servers.put("/key/k", b"\x00\xff any");
    assert_eq!(created.status, 201, "{created:?}");
    let revision = created.json()["revision"].as_u64().unwrap();
    assert_eq!(created.json(), json!({"key": "k", "revision": revision}));
    assert_eq!(created.header("etag"), format!("\"{revision}\""));

    let raw = servers.get("/key/k?raw");
    assert_eq!((raw.status, raw.body.as_slice()), (200, &b"\x00\xff any"[..]));
    assert_eq!(raw.header("content-type"), "application/octet-stream");
    assert_eq!(raw.header("etag"), format!("\"{revision}\""));
    let entry = servers.get("/key/k").json();
    let wanted = json!({
        "key": "k", "body_base64": "AP8gYW55", "revision": revision, "created": revision
    });
    assert_eq!(entry, wanted);
}

#[test]
fn a_replaced_value_has_a_higher_revision_and_keeps_its_creation() {
    let servers = Servers::start(1, &[]);
    let first = servers.put("/key/k", b"one").json()["revision"].as_u64().unwrap();
    let second = servers.put("/key/k", "zwölf".as_bytes());
    assert_eq!(second.status, 200);
    let second = second.json()["revision"].as_u64().unwrap();
    assert!(second > first);
    let entry = servers.get("/key/k");
    let wanted = json!({"key": "k", "body": "zwölf", "revision": second, "created": first});
    assert_eq!(entry.json(), wanted);
    assert_eq!(entry.header("vary"), "Accept");
}

#[test]
fn an_empty_value_is_a_value() {
    let servers = Servers::start(1, &[]);
    assert_eq!(servers.put("/key/k", b"").status, 201);
    let raw = servers.get("/key/k?raw");
    assert_eq!((raw.status, raw.body.len()), (200, 0));
    assert_eq!(servers.get("/key/k").json()["body"], "");
}

#[test]
fn the_accept_header_asks_for_bytes_too() {
    let servers = Servers::start(1, &[]);
    servers.put("/key/k", b"v");
    let accept = [("accept", "application/octet-stream")];
    let raw = call("GET", &servers.url("/key/k"), &accept, None);
    assert_eq!(raw.body, b"v");
    assert_eq!(raw.header("vary"), "Accept");
}

#[test]
fn head_says_what_get_would_without_the_body() {
    let servers = Servers::start(1, &[]);
    servers.put("/key/k", b"value");
    let head = call("HEAD", &servers.url("/key/k?raw"), &[], None);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), "5");
    assert_eq!(call("HEAD", &servers.url("/key/absent"), &[], None).status, 404);
}

#[test]
fn a_client_that_has_the_current_value_is_told_so() {
    let servers = Servers::start(1, &[]);
    let tag = servers.put("/key/k", b"v").header("etag").to_owned();
    let again = |tag: &str| call("GET", &servers.url("/key/k"), &[("if-none-match", tag)], None);
    let unchanged = again(&tag);
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), tag);
    servers.put("/key/k", b"w");
    assert_eq!(again(&tag).status, 200);
}

#[test]
fn a_key_of_any_bytes_is_percent_encoded_in_the_path() {
    let servers = Servers::start(1, &[]);
    assert_eq!(servers.put("/key/a%2Fb%20c", b"1").json()["key"], "a/b c");
    assert_eq!(servers.put("/key/%ff%00", b"2").json()["key_base64"], "/wA=");
    assert_eq!(servers.get("/key/a%2fb%20c?raw").body, b"1");
    assert_eq!(servers.get("/key/%FF%00").json()["key_base64"], "/wA=");
    let keys = servers.get("/keys").json()["keys"].clone();
    assert_eq!(keys, json!(["a/b c", {"key_base64": "/wA="}]));
}

#[test]
fn a_key_that_cannot_be_is_refused() {
    let servers = Servers::start(1, &[]);
    assert_eq!(servers.put(&format!("/key/{}", "k".repeat(511)), b"v").status, 201);
    let long = servers.put(&format!("/key/{}", "k".repeat(512)), b"v");
    assert_eq!(long.status, 400);
    assert!(long.detail().contains("511"), "{long:?}");
    for path in ["/key/", "/key", "/key/?raw"] {
        let empty = servers.get(path);
        assert_eq!(empty.status, 400, "{path}");
        assert!(empty.detail().contains("empty"), "{empty:?}");
    }
    let slash = servers.put("/key/a/b", b"v");
    assert_eq!(slash.status, 404);
    assert!(slash.detail().contains("%2F"), "{slash:?}");
    assert_eq!(servers.get("/key/%zz").status, 400);
}

#[test]
fn a_deleted_key_is_gone() {
    let servers = Servers::start(1, &[]);
    let put = servers.put("/key/k", b"v").json()["revision"].as_u64().unwrap();
    let deleted = servers.delete("/key/k");
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert!(deleted.header("kvraft-revision").parse::<u64>().unwrap() > put);
    for absent in [servers.delete("/key/k"), servers.get("/key/k")] {
        assert_eq!(absent.status, 404);
        assert_eq!(absent.problem()["type"], "urn:kvraft:not_found");
    }
}

#[test]
fn keys_come_in_order_and_page_by_page() {
    let servers = Servers::start(1, &[]);
    for key in ["b%2F2", "a", "b%2F1", "c", "b%2F3"] {
        servers.put(&format!("/key/{key}"), key.as_bytes());
    }
    let keys = |query: &str| servers.get(&format!("/keys{query}")).json();
    assert_eq!(keys("")["keys"], json!(["a", "b/1", "b/2", "b/3", "c"]));
    assert_eq!(keys("")["cursor"], Value::Null);
    assert!(keys("")["revision"].as_u64().unwrap() > 0);
    assert_eq!(keys("?prefix=b%2F")["keys"], json!(["b/1", "b/2", "b/3"]));
    assert_eq!(keys("?start=b%2F2&end=c")["keys"], json!(["b/2", "b/3"]));

    let mut found = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = keys(&query);
        found.extend(page["keys"].as_array().unwrap().clone());
        let Some(cursor) = page["cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(Value::from(found), json!(["a", "b/1", "b/2", "b/3", "c"]));

    let entry = keys("?values&start=c")["keys"][0].clone();
    assert_eq!((&entry["key"], &entry["body"]), (&json!("c"), &json!("c")));
    assert!(entry["revision"].is_u64() && entry["created"].is_u64());
    for wrong in ["?limit=0", "?limit=x", "?cursor=%3F", "?values=maybe"] {
        assert_eq!(servers.get(&format!("/keys{wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn a_value_over_the_limit_is_refused_however_it_is_sent() {
    let servers = Servers::start(1, &["--max-value-bytes=1KiB"]);
    assert_eq!(servers.put("/key/k", &[b'v'; 1024]).status, 201);
    let large = vec![b'v'; 1025];
    let announced = servers.put("/key/k", &large);
    assert_eq!(announced.status, 413);
    assert!(announced.detail().contains("1024"), "{announced:?}");
    // Without a length beforehand, and far more than the limit.
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut endless = std::io::repeat(b'v').take(4 << 20);
    let chunked = agent.put(servers.url("/key/k")).send(SendBody::from_reader(&mut endless));
    let chunked = read(chunked.unwrap());
    assert_eq!(chunked.status, 413);
    chunked.problem();
    assert_eq!(servers.get("/key/k?raw").body.len(), 1024);
}

#[test]
fn a_coded_body_is_refused_since_it_would_be_stored_as_it_is() {
    let servers = Servers::start(1, &[]);
    let coded = call("PUT", &servers.url("/key/k"), &[("content-encoding", "gzip")], Some(b"v"));
    assert_eq!(coded.status, 415);
    coded.problem();
}

#[test]
fn mistakes_are_problems_that_name_what_is_wrong() {
    let servers = Servers::start(1, &[]);
    let unknown = servers.get("/keys?limt=5");
    assert_eq!(unknown.status, 400);
    assert!(unknown.detail().contains("limt") && unknown.detail().contains("limit"));
    for path in
        ["/key/k?consistency=newest", "/key/k?timeout=5", "/key/k?min_revision=x", "/status?x"]
    {
        assert_eq!(servers.get(path).problem()["type"], "urn:kvraft:invalid_argument", "{path}");
    }
    assert_eq!(servers.get("/nothing").problem()["type"], "urn:kvraft:no_such_path");
    let method = call("PATCH", &servers.url("/key/k"), &[], Some(b"v"));
    assert_eq!(method.status, 405);
    assert_eq!(method.problem()["type"], "urn:kvraft:method_not_allowed");
    for allowed in ["GET", "HEAD", "PUT", "DELETE"] {
        assert!(method.header("allow").contains(allowed), "{method:?}");
    }
}

#[test]
fn the_status_has_its_exact_fields() {
    let servers = Servers::start(1, &[]);
    servers.put("/key/k", b"v");
    let status = servers.get("/status").json();
    assert_eq!(status["leaderID"], "a");
    assert_eq!(status["isLead"], true);
    assert_eq!((&status["name"], &status["role"]), (&json!("a"), &json!("leader")));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["keys"], 1);
    for number in ["term", "applied", "committed", "lastLog", "revision"] {
        assert!(status[number].as_u64().unwrap() > 0, "{number}: {status}");
    }
    assert_eq!(status["nodeID"].as_str().unwrap().len(), 16);
    assert_eq!(status["clusterID"].as_str().unwrap().len(), 32);
    let member = &status["members"][0];
    assert_eq!((&member["name"], &member["voter"]), (&json!("a"), &json!(true)));
    assert_eq!(member["nodeID"], status["nodeID"]);
}

#[test]
fn every_node_takes_every_request() {
    let servers = Servers::start(3, &[]);
    let mut revision = 0;
    for node in 0..3 {
        let url = servers.url_of(node, &format!("/key/{node}"));
        let put = call("PUT", &url, &[], Some(b"v"));
        assert_eq!(put.status, 201, "{put:?}");
        revision = put.json()["revision"].as_u64().unwrap();
    }
    let mut leaders = Vec::new();
    for node in 0..3 {
        for key in 0..3 {
            let fresh = call("GET", &servers.url_of(node, &format!("/key/{key}?raw")), &[], None);
            assert_eq!((fresh.status, fresh.body.as_slice()), (200, &b"v"[..]));
        }
        let query = format!("/key/2?consistency=local&min_revision={revision}");
        assert_eq!(call("GET", &servers.url_of(node, &query), &[], None).status, 200);
        let status = call("GET", &servers.url_of(node, "/status"), &[], None).json();
        assert_eq!(status["members"].as_array().unwrap().len(), 3);
        leaders.push((status["leaderID"].clone(), status["isLead"].as_bool().unwrap()));
    }
    assert_eq!(leaders.iter().filter(|(_, leads)| *leads).count(), 1, "{leaders:?}");
    assert!(leaders.iter().all(|(leader, _)| *leader == leaders[0].0), "{leaders:?}");
}

#[test]
fn a_minority_says_when_to_come_back_and_still_reads_what_it_has() {
    let mut servers = Servers::start(3, &[]);
    let put = servers.put("/key/k", b"v").json()["revision"].as_u64().unwrap();
    servers.cluster.kill(1);
    servers.cluster.kill(2);
    let read = servers.get("/key/k?timeout=500ms");
    assert_eq!(read.status, 503, "{read:?}");
    assert_eq!(read.header("retry-after"), "1");
    assert_eq!(read.problem()["type"], "urn:kvraft:unavailable");
    let write = servers.put("/key/k?timeout=500ms", b"w");
    // What was sent to a leader that lost its quorum may yet be applied.
    assert!(matches!(write.status, 503 | 504), "{write:?}");
    write.problem();
    let local = servers.get(&format!("/key/k?raw&consistency=local&min_revision={put}"));
    assert_eq!((local.status, local.body.as_slice()), (200, &b"v"[..]));
    assert_eq!(servers.get("/livez").status, 200);
}
