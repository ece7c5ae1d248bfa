//! `Client` speaks HTTP to one node at a time, and tells failures that pass from those that stay.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

/// Longer than the node's own deadline, so that the node is the one to say what happened.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest value that is read: the default limit of a node.
const MAX_BODY_BYTES: u64 = 4 << 20;

/// Why a request failed.
#[derive(Debug, Clone)]
pub enum Failure {
    /// The same request may succeed soon, here or on another node.
    ForNow(String),
    /// It will not.
    Final(String),
}

/// A pool of connections to the nodes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Agent);

impl Default for Client {
    fn default() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // The nodes are on this machine, whatever proxy the environment names.
            .proxy(None)
            .build();
        Self(config.into())
    }
}

impl Client {
    /// Puts a value through the node at `base`. A value is put twice if the answer to the first
    /// attempt was lost, which changes nothing here.
    ///
    /// # Errors
    /// If the node did not acknowledge it.
    pub fn put(&self, base: &str, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        let answer = self.0.put(key_url(base, key)).send(value);
        succeeded(answer).map(drop)
    }

    /// Reads a value through the node at `base`, linearizably.
    ///
    /// # Errors
    /// If the node did not answer.
    pub fn get(&self, base: &str, key: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
        let url = format!("{}?raw", key_url(base, key));
        let answer = self.0.get(url).call();
        if answer.as_ref().is_ok_and(|answer| answer.status() == 404) {
            return Ok(None);
        }
        bytes(succeeded(answer)?).map(Some)
    }

    /// Asks the node at `base` for its status.
    ///
    /// # Errors
    /// If the node did not answer.
    pub fn status(&self, base: &str) -> Result<Value, Failure> {
        let document = bytes(succeeded(self.0.get(format!("{base}/status")).call())?)?;
        serde_json::from_slice(&document).map_err(|error| Failure::Final(error.to_string()))
    }

    /// Asks the node at `base` whether it is ready for requests.
    ///
    /// # Errors
    /// If it is not, or did not answer.
    pub fn ready(&self, base: &str) -> Result<(), Failure> {
        succeeded(self.0.get(format!("{base}/readyz")).call()).map(drop)
    }
}

/// The URL of a key.
#[must_use]
pub fn key_url(base: &str, key: &[u8]) -> String {
    format!("{base}/key/{}", percent_encode(key, NON_ALPHANUMERIC))
}

fn succeeded(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
    let answer = answer.map_err(|error| Failure::ForNow(error.to_string()))?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let text = bytes(answer).map(|text| String::from_utf8_lossy(&text).into_owned())?;
    let said = format!("{status}: {text}");
    // Too many requests, no leader, an answer that was lost.
    Err(if matches!(status.as_u16(), 429 | 503 | 504) {
        Failure::ForNow(said)
    } else {
        Failure::Final(said)
    })
}

fn bytes(mut answer: Response<Body>) -> Result<Vec<u8>, Failure> {
    let body = answer.body_mut().with_config().limit(MAX_BODY_BYTES);
    body.read_to_vec().map_err(|error| Failure::ForNow(error.to_string()))
}
