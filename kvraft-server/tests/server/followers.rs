//! What nodes that do not lead do with requests for the leader.

use kvraft_server::demo::client::Failure;
use ureq::Agent;

use crate::common::{Answer, Servers, call, read};
use crate::single::PATIENCE;

/// Sends one request and follows nothing.
fn first(method: &str, url: &str, body: Option<&[u8]>) -> Answer {
    let config = Agent::config_builder().http_status_as_error(false).max_redirects(0);
    let agent: Agent = config.max_redirects_will_error(false).build().into();
    let request = ureq::http::Request::builder().method(method).uri(url);
    read(match body {
        Some(body) => agent.run(request.body(body).unwrap()).unwrap(),
        None => agent.run(request.body(()).unwrap()).unwrap(),
    })
}

#[test]
fn a_follower_that_redirects_sends_linearizable_requests_to_the_leader_and_no_others() {
    let servers = Servers::start(3, &["--follower-mode=redirect"]);
    let leader = servers.cluster.leader(&servers.stop).unwrap();
    let (here, there) = ((leader + 1) % 3, servers.url_of(leader, ""));
    assert_eq!(call("PUT", &servers.url_of(leader, "/key/k"), &[], Some(b"v")).status, 201);
    for (method, path, body) in [
        ("PUT", "/key/a%2Fb?timeout=5s", Some(&b"v"[..])),
        ("DELETE", "/key/none", None),
        ("POST", "/key/n/increment?delta=2", None),
        ("GET", "/key/k", None),
        ("HEAD", "/key/k", None),
        ("GET", "/keys?prefix=k&consistency=linearizable", None),
        ("POST", "/leases?ttl=60s", None),
        ("POST", "/cluster/transfer", None),
    ] {
        let sent = first(method, &servers.url_of(here, path), body);
        assert_eq!(sent.status, 307, "{method} {path}: {sent:?}");
        assert_eq!(sent.header("location"), format!("{there}{path}"));
    }
    for path in ["/key/k?consistency=local", "/keys?consistency=lease", "/status", "/backup"] {
        let answered = first("GET", &servers.url_of(here, path), None);
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
    }
    // Nothing was done on the way, and a wrong request is wrong wherever it is sent.
    assert_eq!(first("GET", &servers.url_of(leader, "/key/n"), None).status, 404);
    assert_eq!(first("GET", &servers.url_of(here, "/key/k?x"), None).status, 400);
    // A client that follows is answered.
    let followed = call("GET", &servers.url_of(here, "/key/k?raw"), &[], None);
    assert_eq!((followed.status, followed.body.as_slice()), (200, &b"v"[..]));
}

#[test]
fn a_follower_that_redirects_says_when_to_come_back_while_there_is_no_leader() {
    let mut servers = Servers::start(3, &["--follower-mode=redirect"]);
    servers.cluster.kill(1);
    servers.cluster.kill(2);
    let put = || first("PUT", &servers.url("/key/k?timeout=200ms"), Some(b"v"));
    // It may have led, or know for a moment a leader that is no more.
    let left = || match put().status {
        503 => Ok(()),
        status => Err(Failure::ForNow(status.to_string())),
    };
    servers.stop.retry("no leader", PATIENCE, left).unwrap();
    let refused = put();
    assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
}

#[test]
fn a_leader_that_advertises_nothing_is_asked_by_the_follower_itself() {
    let servers = Servers::start(3, &["--follower-mode=redirect", "--advertise-http="]);
    for node in 0..3 {
        let put = first("PUT", &servers.url_of(node, &format!("/key/{node}")), Some(b"v"));
        assert_eq!(put.status, 201, "{put:?}");
    }
}
