//! A `Request` is what a command asks a node for, whichever that is.

use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::payload::Payload;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether it may be sent again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Twice is once: it reads, says what is to be, or has an idempotency key.
    Freely,
    /// Twice would be twice.
    Never,
}

/// A request without the node that it is sent to.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(super) method: Method,
    /// The path with its query.
    pub(super) path: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) payload: Option<Payload>,
    pub(super) repeat: Repeat,
    /// How long one attempt may take, if not as long as all others.
    pub(super) patience: Option<Duration>,
    /// How long the next bit of a long answer may take, if not as long as an attempt.
    pub(super) idle: Option<Duration>,
    /// Whether the answer is read bit by bit, for as long as it takes.
    pub(super) streamed: bool,
    /// Whether it goes to the one node that was named, and to nobody else.
    pub(super) here: bool,
    /// Whether its answer differs when an earlier attempt has done it already.
    pub(super) keyed: bool,
}

impl Request {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: Vec::new(),
            payload: None,
            repeat: Repeat::Freely,
            patience: None,
            idle: None,
            streamed: false,
            here: false,
            keyed: false,
        }
    }

    /// Reads something.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Says what is to be, so that saying it twice is saying it once.
    pub(crate) fn order(method: Method, path: impl Into<String>) -> Self {
        Self::new(method, path)
    }

    /// Changes the map, with an idempotency key: this one, or a fresh one.
    pub(crate) fn write(
        method: Method,
        path: impl Into<String>,
        key: Option<&str>,
    ) -> Result<Self> {
        let key = match key {
            Some(key) => key.to_owned(),
            None => URL_SAFE_NO_PAD.encode(crate::secret::random()?),
        };
        let value = HeaderValue::try_from(key).context("an idempotency key is visible ASCII")?;
        let mut request = Self::new(method, path);
        request.headers.push((IDEMPOTENCY_KEY, value));
        request.keyed = true;
        Ok(request)
    }

    /// It must not be sent again unless nothing was done.
    pub(crate) fn never_twice(mut self) -> Self {
        self.repeat = Repeat::Never;
        self
    }

    /// Adds a parameter whose value is any bytes.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        let value = percent_encode(value.as_ref(), NON_ALPHANUMERIC);
        self.path.push_str(&format!("{mark}{name}={value}"));
        self
    }

    /// Adds a parameter if there is a value for it.
    pub(crate) fn maybe(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a switch if it is on.
    pub(crate) fn switch(self, name: &str, on: bool) -> Self {
        if on { self.with(name, "true") } else { self }
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Result<Self> {
        let value = HeaderValue::try_from(value.as_ref())
            .with_context(|| format!("{name} cannot be {:?}", value.as_ref()))?;
        self.headers.push((name, value));
        Ok(self)
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Gives each attempt another time than the usual one.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The answer is read bit by bit: only its head has to come in time, and each next bit.
    pub(crate) fn streamed(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self.streamed = true;
        self
    }

    /// It is meant for the one node that was named.
    pub(crate) fn here(mut self) -> Self {
        self.here = true;
        self
    }

    /// The method and the path, without what the query says.
    pub(super) fn name(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// The method and the path with its query.
    #[cfg(test)]
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    pub(super) fn reads(&self) -> bool {
        self.method == Method::GET
    }
}

/// Puts bytes into a path as one segment.
pub(crate) fn segment(bytes: &[u8]) -> String {
    percent_encode(bytes, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_any_bytes() {
        let request = Request::get("/keys").with("prefix", b"a/&\xff").switch("values", true);
        let request = request.switch("count", false).maybe("end", None::<&str>);
        assert_eq!(request.path, "/keys?prefix=a%2F%26%FF&values=true");
    }

    #[test]
    fn each_write_has_an_idempotency_key_of_its_own() {
        let key = |given| {
            let request = Request::write(Method::PUT, "/key/k", given).unwrap();
            request.headers[0].1.to_str().unwrap().to_owned()
        };
        assert_ne!(key(None), key(None));
        assert_eq!(key(Some("7")), "7");
        assert!(Request::write(Method::PUT, "/key/k", Some("a\nb")).is_err());
    }
}
