//! `HttpSettings` is how the HTTP interface is served, checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::given::Given;
use crate::settings::{address, duration, switch};

/// Connections at a time unless it is said.
const MAX_CONNECTIONS: u32 = 4096;
/// Watches at a time unless it is said: one for each connection.
const MAX_WATCHES: u32 = 4096;
/// A bound of these bounds: each costs memory for as long as it is open.
const MOST: u32 = 1_000_000;
/// How long a client may take to say what it wants unless it is said.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a shutdown may take unless it is said: a third of what Kubernetes gives.
const GRACE: Duration = Duration::from_secs(10);

/// The settings of the HTTP interface: name, and what it means.
pub(crate) const HELP: [(&str, &str); 12] = [
    ("listen_http", "TCP address of the HTTP interface, ip:port [default: 127.0.0.1:8080]"),
    ("listen_health", "TCP address, ip:port, that serves only probes and metrics, in plain HTTP"),
    (
        "http_tls_cert",
        "PEM file of the HTTP interface's certificate, with its chain; read again when it changes",
    ),
    ("http_tls_key", "PEM file of the key of http_tls_cert"),
    ("http_client_ca", "PEM file of the authority whose certificates HTTP clients have to show"),
    (
        "token_file",
        "File of who may use the HTTP interface, a line each of `kvraft-server token new`; read again when it changes",
    ),
    ("insecure_http", "Serve HTTP without TLS and tokens on an address that is not loopback"),
    (
        "follower_mode",
        "What a node that does not lead does with requests for the leader: forward or redirect [default: forward]",
    ),
    ("http_max_connections", "HTTP connections at a time; more wait [default: 4096]"),
    ("http_max_watches", "Watches over HTTP at a time; more are refused [default: 4096]"),
    (
        "http_head_timeout",
        "How long an HTTP client may take to begin a request, and may stay without one [default: 30s]",
    ),
    (
        "shutdown_grace",
        "How long a shutdown may take: the leadership is handed over, requests finish [default: 10s]",
    ),
];

/// What a node that does not lead does with requests that ask the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FollowerMode {
    /// It answers itself, and asks the leader for that.
    #[default]
    Forward,
    /// It sends the client to the leader, if that says where its HTTP is.
    Redirect,
}

impl FromStr for FollowerMode {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "forward" => Ok(Self::Forward),
            "redirect" => Ok(Self::Redirect),
            _ => bail!("follower_mode {text:?} is neither forward nor redirect"),
        }
    }
}

/// Everything that the HTTP interface needs to know.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) health: Option<SocketAddr>,
    /// Certificate, key, and the authority of clients if there is one; none for plain HTTP.
    pub(crate) tls: Vec<PathBuf>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) follower_mode: FollowerMode,
    pub(crate) max_connections: u32,
    pub(crate) max_watches: u32,
    pub(crate) head_timeout: Duration,
    pub(crate) grace: Duration,
}

impl HttpSettings {
    /// Takes what it knows out of the settings; what is wrong is noted there.
    pub(crate) fn take(given: &mut Given) -> Self {
        let settings = Self {
            listen: given
                .take("listen_http", address)
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8080))),
            health: given.take("listen_health", address),
            tls: tls(given).unwrap_or_else(|error| {
                given.fault(error);
                Vec::new()
            }),
            token_file: given.take("token_file", path),
            follower_mode: given.take("follower_mode", |_, text| text.parse()).unwrap_or_default(),
            max_connections: given.take("http_max_connections", bound).unwrap_or(MAX_CONNECTIONS),
            max_watches: given.take("http_max_watches", bound).unwrap_or(MAX_WATCHES),
            head_timeout: given.take("http_head_timeout", duration).unwrap_or(HEAD_TIMEOUT),
            grace: given.take("shutdown_grace", duration).unwrap_or(GRACE),
        };
        let insecure = given.take("insecure_http", switch).unwrap_or(false);
        if settings.head_timeout.is_zero() {
            given.fault(anyhow!("http_head_timeout 0s leaves no time at all"));
        }
        if let Err(error) = settings.check(insecure) {
            given.fault(error);
        }
        settings
    }

    fn is_public(&self) -> bool {
        !self.listen.ip().is_loopback()
    }

    fn check(&self, insecure: bool) -> Result<()> {
        let protected = !self.tls.is_empty() || self.token_file.is_some();
        if self.is_public() && !protected && !insecure {
            bail!(
                "listen_http is {}, where others could read and write everything without a password: \
                 listen on 127.0.0.1; or give http_tls_cert and http_tls_key, and a token_file (made \
                 with `kvraft-server token new`); or set insecure_http if the network itself is \
                 protected",
                self.listen
            );
        }
        Ok(())
    }

    /// What an operator should know of a server that is protected in part.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = &'static str> {
        let (tls, tokens) = (!self.tls.is_empty(), self.token_file.is_some());
        let anyone = "no token_file: whoever reaches listen_http may do everything";
        let clear = "no http_tls_cert: tokens and values cross the network in clear text";
        let open = self.is_public() && !tokens && self.tls.len() < 3;
        let told = [open.then_some(anyone), (self.is_public() && !tls).then_some(clear)];
        told.into_iter().flatten()
    }
}

fn tls(given: &mut Given) -> Result<Vec<PathBuf>> {
    let cert = given.take("http_tls_cert", path);
    let key = given.take("http_tls_key", path);
    let client_ca = given.take("http_client_ca", path);
    match (cert, key, client_ca) {
        (None, None, None) => Ok(Vec::new()),
        (Some(cert), Some(key), client_ca) => {
            Ok([cert, key].into_iter().chain(client_ca).collect())
        }
        (None, None, Some(_)) => {
            bail!("http_client_ca needs TLS: give http_tls_cert and http_tls_key as well")
        }
        _ => bail!("http_tls_cert and http_tls_key go together: give both"),
    }
}

fn path(name: &str, text: &str) -> Result<PathBuf> {
    ensure!(!text.is_empty(), "{name} names no file");
    Ok(text.into())
}

fn bound(name: &str, text: &str) -> Result<u32> {
    let number = text.parse().with_context(|| format!("{name} {text:?} is not a number"))?;
    ensure!((1..=MOST).contains(&number), "{name} {number} is not from 1 to {MOST}");
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<HttpSettings> {
        let mut given = Given::of(pairs);
        let settings = HttpSettings::take(&mut given);
        assert!(given.rest().is_empty(), "{given:?}");
        given.check().map(|()| settings)
    }

    #[test]
    fn without_settings_http_is_on_loopback_only() {
        let settings = settings(&[]).unwrap();
        assert!(settings.listen.ip().is_loopback());
        assert_eq!((settings.health, settings.tls.len()), (None, 0));
        assert_eq!(settings.follower_mode, FollowerMode::Forward);
        assert_eq!(settings.warnings().count(), 0);
    }

    #[test]
    fn a_public_address_is_refused_with_all_remedies_until_one_is_taken() {
        let public = ("listen_http", "0.0.0.0:8080");
        let text = settings(&[public]).unwrap_err().to_string();
        for remedy in ["127.0.0.1", "http_tls_cert", "token_file", "token new", "insecure_http"] {
            assert!(text.contains(remedy), "{text}");
        }
        let (cert, key) = (("http_tls_cert", "c"), ("http_tls_key", "k"));
        let (tokens, ca) = (("token_file", "t"), ("http_client_ca", "a"));
        let cases: [(&[(&str, &str)], usize); 5] = [
            (&[public, ("insecure_http", "true")], 2),
            (&[public, tokens], 1),
            (&[public, cert, key], 1),
            (&[public, cert, key, ca], 0),
            (&[public, cert, key, tokens], 0),
        ];
        for (given, warnings) in cases {
            assert_eq!(settings(given).unwrap().warnings().count(), warnings, "{given:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let cases = [
            ("http_tls_cert", "c", "give both"),
            ("http_tls_key", "k", "give both"),
            ("http_client_ca", "a", "needs TLS"),
            ("follower_mode", "follow", "forward nor redirect"),
            ("http_max_connections", "0", "from 1 to"),
            ("http_max_watches", "many", "not a number"),
            ("http_head_timeout", "0s", "no time"),
            ("token_file", "", "names no file"),
        ];
        for (name, value, said) in cases {
            let error = format!("{:#}", settings(&[(name, value)]).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
