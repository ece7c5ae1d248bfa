//! The HTTP interface: it turns requests into calls of the map, and answers back.

mod accept;
mod attempts;
mod backup;
mod body;
mod condition;
mod connection;
mod counter;
mod endpoint;
mod endpoints;
#[cfg(test)]
mod fuzz;
mod guard;
mod id;
mod integrity;
mod key;
mod keys;
mod leases;
mod listener;
mod locks;
mod members;
mod metrics;
mod object;
mod openapi;
mod outgoing;
mod paced;
mod prefixed;
mod probes;
mod problem;
mod query;
mod redirect;
mod routes;
mod schemas;
mod status;
#[cfg(test)]
mod tests;
mod tls;
mod traffic;
mod txn;
mod ui;
mod watch;

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use kvraft::{Consistency, ErrorKind, ReplicatedMap};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::attempts::Attempts;
pub(crate) use self::listener::Listener;
use self::problem::Problem;
pub(crate) use self::routes::{health_routes, routes};
pub(crate) use self::tls::server_config;
use self::traffic::Traffic;
use crate::reloaded::Reloaded;
use crate::settings::FollowerMode;
use crate::tokens::Tokens;
use crate::traces::Told;

/// Bodies that are being read or put at a time have so many KiB together (256 MiB); a request
/// beyond that is told to come back.
const BODY_BUDGET_KIB: usize = 256 << 10;
/// Large answers that are on their way at a time have so many KiB together (256 MiB).
const OUTGOING_BUDGET_KIB: usize = 256 << 10;
/// Requests whose answers have not begun, at a time: one of HTTP/2 costs no connection.
const MAX_REQUESTS: usize = 8192;

/// What an operator has said of the interface.
#[derive(Debug)]
pub(crate) struct Options {
    /// Who may use it; everyone may, and do everything, if that is absent.
    pub(crate) tokens: Option<Arc<Reloaded<Tokens>>>,
    pub(crate) follower_mode: FollowerMode,
    /// How fresh reads are that do not say it.
    pub(crate) consistency: Consistency,
    pub(crate) max_watches: u32,
    /// How many spans were told to a collector.
    pub(crate) traces: Arc<Told>,
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct App {
    /// Absent while the node recovers what its disk holds.
    map: OnceLock<ReplicatedMap>,
    draining: tokio::sync::watch::Sender<bool>,
    body_kib: Arc<Semaphore>,
    outgoing_kib: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    watches: Arc<Semaphore>,
    max_watches: u32,
    tokens: Option<Arc<Reloaded<Tokens>>>,
    attempts: Attempts,
    follower_mode: FollowerMode,
    consistency: Consistency,
    traffic: Traffic,
    traces: Arc<Told>,
}

impl App {
    /// Makes the state of a server whose node is not open yet.
    pub(crate) fn new(options: Options) -> Self {
        let Options { tokens, follower_mode, consistency, max_watches, traces } = options;
        Self {
            map: OnceLock::new(),
            draining: tokio::sync::watch::Sender::new(false),
            body_kib: Arc::new(Semaphore::new(BODY_BUDGET_KIB)),
            outgoing_kib: Arc::new(Semaphore::new(OUTGOING_BUDGET_KIB)),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            watches: Arc::new(Semaphore::new(max_watches as usize)),
            max_watches,
            tokens,
            attempts: Attempts::default(),
            follower_mode,
            consistency,
            traffic: Traffic::default(),
            traces,
        }
    }

    /// One without a node, which everyone may use.
    #[cfg(test)]
    fn for_tests() -> Self {
        Self::new(Options {
            tokens: None,
            follower_mode: FollowerMode::Forward,
            consistency: Consistency::Linearizable,
            max_watches: 1,
            traces: Arc::default(),
        })
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

    /// Whether an error has stopped the node.
    pub(crate) fn has_failed(&self) -> bool {
        self.map.get().is_some_and(|map| map.status().failure.is_some())
    }

    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Returns once the server is about to stop.
    async fn drained(&self) {
        // The sender lives in `self`.
        drop(self.draining.subscribe().wait_for(|draining| *draining).await);
    }

    /// Takes a place among the watches, for as long as one lasts.
    fn watching(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.watches.clone().try_acquire_owned().map_err(|_| {
            let most = self.max_watches;
            let detail = format!("this node has http_max_watches, {most}, watches; take another");
            Problem::of(ErrorKind::Overloaded, detail)
        })
    }

    /// Watches now.
    fn open_watches(&self) -> u64 {
        let free = u64::try_from(self.watches.available_permits()).unwrap_or(u64::MAX);
        u64::from(self.max_watches).saturating_sub(free)
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
