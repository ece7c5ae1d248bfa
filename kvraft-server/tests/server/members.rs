//! The membership over HTTP.

use crate::common::{Servers, call};

fn post(servers: &Servers, node: usize, path: &str) -> crate::common::Answer {
    call("POST", &servers.url_of(node, path), &[], None)
}

#[test]
fn leadership_moves_members_go_and_mistakes_are_named_over_http() {
    let servers = Servers::start(3, &[]);
    let names = |answer: &crate::common::Answer| {
        let members = answer.json()["members"].as_array().unwrap().clone();
        members.iter().map(|m| m["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let listed = servers.get("/cluster/members");
    let all = names(&listed);
    assert_eq!((listed.status, all.len()), (200, 3));
    let leader = listed.json()["leaderID"].as_str().unwrap().to_owned();
    let heir = all.iter().find(|name| **name != leader).unwrap();
    assert_eq!(post(&servers, 0, &format!("/cluster/transfer?to={heir}")).status, 204);
    for (path, status) in [
        ("/cluster/transfer?to=nobody", 409),
        ("/cluster/transfer?too=x", 400),
        ("/cluster/shrink", 400),
        ("/cluster/shrink?voters=0", 400),
        ("/cluster/shrink?voters=-1", 400),
        ("/cluster/members/nobody/promote", 409),
        ("/cluster/members/%zz/demote", 400),
    ] {
        let answer = post(&servers, 1, path);
        assert_eq!(answer.status, status, "{path}: {}", answer.detail());
        assert!(!answer.detail().is_empty());
    }
    assert_eq!(post(&servers, 0, "/cluster/shrink?voters=2").status, 204);
    let left: Vec<_> = all.iter().take(2).cloned().collect();
    assert_eq!(names(&servers.get("/cluster/members")), left);
    assert_eq!(servers.put("/key/k", b"v").status, 201);
}

#[test]
fn a_node_that_was_removed_while_it_was_away_joins_anew_at_its_second_start() {
    let mut servers = Servers::start(3, &["--rejoin"]);
    assert_eq!(servers.put("/key/k", b"v").status, 201);
    let last = servers.cluster.nodes().len() - 1;
    servers.cluster.kill(last);
    assert_eq!(post(&servers, 0, "/cluster/shrink?voters=2").status, 204);
    // At the first one it learns it, and ends.
    assert!(servers.cluster.restart(last, &servers.stop).is_err());
    servers.cluster.restart(last, &servers.stop).unwrap();
    let read = call("GET", &servers.url_of(last, "/key/k?raw"), &[], None);
    assert_eq!((read.status, read.body.as_slice()), (200, &b"v"[..]));
    let listed = servers.get("/cluster/members").json();
    assert_eq!(listed["members"].as_array().unwrap().len(), 3, "{listed}");
}

#[test]
fn the_states_of_members_are_compared_and_one_is_fetched_anew_over_http() {
    let servers = Servers::start(3, &[]);
    assert_eq!(servers.put("/key/k", b"v").status, 201);
    let compared = post(&servers, 1, "/cluster/verify");
    assert_eq!(compared.status, 200, "{}", compared.detail());
    let document = compared.json();
    assert_eq!(document["verdict"], "agreed", "{document}");
    assert_eq!(document["diverged"], serde_json::json!([]));
    assert_eq!(document["members"].as_array().unwrap().len(), 3);
    assert_eq!(post(&servers, 2, "/cluster/refill").status, 204);
    let status = call("GET", &servers.url_of(2, "/status"), &[], None).json();
    assert_eq!(status["divergence"], serde_json::Value::Null);
    let read = call("GET", &servers.url_of(2, "/key/k?raw"), &[], None);
    assert_eq!((read.status, read.body.as_slice()), (200, &b"v"[..]));
    assert_eq!(post(&servers, 2, "/cluster/verify?deep=1").status, 400);
}
