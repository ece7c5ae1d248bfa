//! A cluster of the built binary in a directory of its own, with plain HTTP to talk to it.

use std::path::Path;

use kvraft_server::demo::cluster::{Cluster, Plan};
use kvraft_server::demo::ports::Ports;
use kvraft_server::demo::stop::Stop;
use serde_json::Value;
use tempfile::TempDir;
use ureq::Body;
use ureq::http::{Request, Response};

use crate::contract;

/// The built binary.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kvraft-server");

/// Nodes that live as long as the test.
pub(crate) struct Servers {
    pub(crate) cluster: Cluster,
    pub(crate) stop: Stop,
    // Below the cluster, so that it goes after it.
    _dir: TempDir,
}

impl Servers {
    pub(crate) fn start(nodes: u16, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let plan = Plan {
            program: Path::new(PROGRAM).to_owned(),
            dir: dir.path().to_owned(),
            nodes,
            ports: Ports { raft: 0, http: 0 },
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        let stop = Stop::default();
        let cluster = Cluster::start(&plan, &stop).unwrap();
        Self { cluster, stop, _dir: dir }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_of(0, path)
    }

    pub(crate) fn url_of(&self, node: usize, path: &str) -> String {
        format!("{}{path}", self.cluster.nodes()[node].url())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        call("GET", &self.url(path), &[], None)
    }

    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Answer {
        call("PUT", &self.url(path), &[], Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        call("DELETE", &self.url(path), &[], None)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    head: Response<()>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The problem document, after checking that it is a whole one.
    pub(crate) fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["type"].as_str().unwrap().starts_with("urn:kvraft:"), "{problem}");
        assert!(!problem["title"].as_str().unwrap().is_empty());
        problem
    }

    pub(crate) fn detail(&self) -> String {
        self.problem()["detail"].as_str().unwrap().to_owned()
    }
}

/// Sends one request.
pub(crate) fn call(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build()
        .into();
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = match body {
        Some(body) => agent.run(request.body(body).unwrap()),
        None => agent.run(request.body(()).unwrap()),
    };
    let answer = read(answer.unwrap_or_else(|error| panic!("{method} {url}: {error}")));
    contract::check(method, url, &answer);
    answer
}

/// Reads an answer to its end.
pub(crate) fn read(answer: Response<Body>) -> Answer {
    let (parts, mut body) = answer.into_parts();
    let status = parts.status.as_u16();
    let body = body.with_config().limit(64 << 20).read_to_vec().unwrap();
    Answer { status, body, head: Response::from_parts(parts, ()) }
}
