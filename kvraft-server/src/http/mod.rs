//! The HTTP interface: it turns requests into calls of the map, and answers back.

mod accept;
mod backup;
mod body;
mod condition;
mod counter;
mod id;
mod integrity;
mod key;
mod keys;
mod leases;
mod listener;
mod locks;
mod members;
mod object;
mod probes;
mod problem;
mod query;
mod routes;
mod status;
mod txn;
mod watch;

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use kvraft::{ErrorKind, ReplicatedMap};
use serde_json::Value;
use tokio::sync::Semaphore;

pub(crate) use self::listener::serve;
use self::problem::Problem;
pub(crate) use self::routes::{health_routes, routes};

/// Bodies that are being read or put at a time have so many KiB together (256 MiB); a request
/// beyond that is told to come back.
const BODY_BUDGET_KIB: usize = 256 << 10;

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    /// Absent while the node recovers what its disk holds.
    map: OnceLock<ReplicatedMap>,
    draining: tokio::sync::watch::Sender<bool>,
    body_kib: Arc<Semaphore>,
}

impl App {
    /// Makes the state of a server whose node is not open yet.
    pub(crate) fn new() -> Self {
        Self {
            map: OnceLock::new(),
            draining: tokio::sync::watch::Sender::new(false),
            body_kib: Arc::new(Semaphore::new(BODY_BUDGET_KIB)),
        }
    }

    /// Lets requests through to the node.
    pub(crate) fn open(&self, map: ReplicatedMap) {
        // A second node would be a second server; the first stays.
        drop(self.map.set(map));
    }

    /// Shows to probes that no more requests should come.
    pub(crate) fn drain(&self) {
        self.draining.send_replace(true);
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Returns once the server is about to stop.
    async fn drained(&self) {
        // The sender lives in `self`.
        drop(self.draining.subscribe().wait_for(|draining| *draining).await);
    }

    fn map(&self) -> Result<&ReplicatedMap, Problem> {
        self.map.get().ok_or_else(|| {
            Problem::of(ErrorKind::Unavailable, "this node is still recovering what its disk holds")
        })
    }
}

/// Answers with a JSON document, on a line of its own for those who read it in a terminal.
fn json(document: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{document}\n")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The ETag of a revision.
fn etag(revision: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits and quotes are a header value")
}
