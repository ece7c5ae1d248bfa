//! An `Answer` is a success of a node, whose body is still to be read.

use std::time::Duration;

use anyhow::Context as _;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use serde_json::Value;
use tokio::time::timeout;

use super::base::Base;
use super::transport;

/// The largest document: a page of the largest values, in the longest form that JSON has for them.
const MOST: usize = 448 << 20;
/// How much of what a server says is shown.
const MOST_SHOWN: usize = 500;
/// The longest that a problem document is read.
const MOST_OF_PROBLEM: usize = 64 << 10;

/// Why reading an answer ended.
#[derive(Debug)]
pub(crate) enum Broke {
    /// The node or the way to it; another attempt may do.
    Off(String),
    /// It is of no use to try again.
    Finally(anyhow::Error),
}

impl From<anyhow::Error> for Broke {
    fn from(error: anyhow::Error) -> Self {
        Self::Finally(error)
    }
}

/// The head of a success, with the body still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Who answered.
    pub(crate) base: Base,
    response: Response<Incoming>,
    /// How long the next part of the body may take.
    idle: Duration,
}

impl Answer {
    pub(super) const fn new(base: Base, response: Response<Incoming>, idle: Duration) -> Self {
        Self { base, response, idle }
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header, if it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The length of the body, if the node said it.
    pub(crate) fn len(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The next part of the body; nothing at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Broke> {
        loop {
            let Ok(frame) = timeout(self.idle, self.response.body_mut().frame()).await else {
                let quiet = humantime::format_duration(self.idle);
                return Err(Broke::Off(format!("the answer went quiet for {quiet}")));
            };
            match frame.transpose() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Err(error) => return Err(Broke::Off(transport::broke_off(&error))),
            }
        }
    }

    async fn up_to(&mut self, most: usize) -> Result<Vec<u8>, Broke> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk().await? {
            if whole.len() + bytes.len() > most {
                let long = anyhow::anyhow!("{} answers with more than {most} bytes", self.base);
                return Err(Broke::Finally(long));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }

    /// The whole body.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, Broke> {
        self.up_to(MOST).await
    }

    /// The whole body as JSON; null if there is none.
    pub(crate) async fn json(mut self) -> Result<Value, Broke> {
        let whole = self.up_to(MOST).await?;
        if whole.is_empty() {
            return Ok(Value::Null);
        }
        let wrong = || format!("{} does not answer with JSON", self.base);
        Ok(serde_json::from_slice(&whole).with_context(wrong)?)
    }

    /// What a problem says; as much as came of it.
    pub(super) async fn problem(mut self) -> String {
        let text = self.up_to(MOST_OF_PROBLEM).await.unwrap_or_default();
        let document: Value = serde_json::from_slice(&text).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        let said = document.get("detail").and_then(Value::as_str).map_or(text, str::to_owned);
        said.chars().filter(|letter| !letter.is_control()).take(MOST_SHOWN).collect()
    }
}
