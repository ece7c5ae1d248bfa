//! `Client` asks the nodes of a cluster by HTTP, whichever of them can answer.
//!
//! It knows several endpoints and learns of the others from `/status`. A request goes to the leader
//! if one is known; what fails for now is tried again elsewhere, later, with an idempotency key where
//! twice would not be once. [`call`] has the rules, [`endpoints`] whom to ask next.

mod answer;
mod backoff;
mod base;
mod call;
mod endpoints;
mod failure;
mod options;
mod payload;
mod request;
mod run;
mod transport;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::time::timeout;

pub(crate) use answer::{Answer, Broke};
pub(crate) use base::Base;
pub(crate) use failure::{Failure, Kind, code, of as failure_of};
pub(crate) use options::{Options, URLS, args, read as options, urls as names_urls};
pub(crate) use payload::{Payload, Spool};
pub(crate) use request::{Request, segment};
pub(crate) use run::{is_broken_pipe, run};

use call::Call;
use endpoints::Endpoints;
use transport::Transport;

/// How long a node may take to say who is a member.
const STATUS_PATIENCE: Duration = Duration::from_secs(2);

/// How long all attempts may take together if it was not said.
const USUAL: Duration = Duration::from_secs(60);

/// How often and how long.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// If it was said.
    timeout: Option<Duration>,
    attempt: Duration,
    retries: u32,
}

/// What sends requests. Several calls may be under way at once.
pub(crate) struct Client {
    transport: Transport,
    endpoints: Mutex<Endpoints>,
    limits: Limits,
}

impl Client {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let transport =
            Transport::new(options).map_err(|error| Failure::usage(format!("{error:#}")))?;
        let Options { timeout, attempt, retries, .. } = *options;
        Ok(Self {
            transport,
            endpoints: Mutex::new(Endpoints::new(options.bases.clone())),
            limits: Limits { timeout, attempt, retries },
        })
    }

    fn endpoints(&self) -> MutexGuard<'_, Endpoints> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that are known by now.
    pub(crate) fn known(&self) -> Vec<Base> {
        self.endpoints().all()
    }

    /// Sends a request until `take` has taken its answer.
    ///
    /// `take` runs again if the body of an answer breaks off.
    pub(crate) async fn send<T>(
        &self,
        request: &Request,
        take: impl AsyncFn(Answer) -> Result<T, Broke>,
    ) -> Result<T> {
        Call::new(self, request).run(take).await
    }

    /// Sends a request and reads the answer as JSON; null if it has no body.
    pub(crate) async fn json(&self, request: &Request) -> Result<Value> {
        self.send(request, async |answer| answer.json().await).await
    }

    /// Finds out who leads, so that many requests save the way through another node.
    pub(crate) async fn find_leader(&self) {
        for base in self.known() {
            if self.ask_for_members(&base).await {
                return;
            }
        }
    }

    /// Asks a node who the members are and who leads; returns whether it has told.
    async fn ask_for_members(&self, base: &Base) -> bool {
        let request = Request::get("/status");
        let ask = async {
            let response = self.transport.send(base, &request).await.ok()?;
            let answer = Answer::new(base.clone(), response, STATUS_PATIENCE);
            if answer.status() == 200 { answer.json().await.ok() } else { None }
        };
        match timeout(STATUS_PATIENCE, ask).await {
            Ok(Some(status)) => {
                self.endpoints().learn(&status);
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Asks one node once, without anything that mends a failure.
    pub(crate) async fn ask_one(&self, base: &Base, request: &Request) -> Result<Vec<u8>, String> {
        let ask = async {
            let response = self.transport.send(base, request).await.map_err(|unsent| unsent.why)?;
            let (status, success) = (response.status(), response.status().is_success());
            let answer = Answer::new(base.clone(), response, self.limits.attempt);
            if !success {
                return Err(format!("answered {status}: {}", answer.problem().await));
            }
            answer.whole().await.map_err(|broke| match broke {
                Broke::Off(why) => why,
                Broke::Finally(error) => format!("{error:#}"),
            })
        };
        let late = |_| "did not answer in time".to_owned();
        timeout(self.limits.attempt, ask).await.map_err(late).flatten()
    }

    /// Takes note that a long answer of this node broke off.
    pub(crate) fn broke_off(&self, base: &Base) {
        self.endpoints().failed(base, None);
    }

    /// How long all attempts of one call may take together.
    fn timeout(&self) -> Duration {
        self.limits.timeout.unwrap_or(USUAL)
    }

    /// How often something is tried again.
    pub(crate) const fn retries(&self) -> u32 {
        self.limits.retries
    }
}
