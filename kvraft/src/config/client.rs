//! `ClientConfig` holds every setting of a client: a process without a disk or a vote.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::check::{check_address, check_name, check_request_timeout};
use super::security::{Insecure, Security, SecuritySettings};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::options::Consistency;

/// The settings of one client, before they are checked by [`ReplicatedMap::connect`].
///
/// ```
/// use kvraft::ClientConfig;
///
/// let config = ClientConfig::new(["10.0.0.1:7001", "10.0.0.2:7001", "10.0.0.3:7001"])
///     .name("report-writer")
///     .cluster_secret("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00");
/// ```
///
/// [`ReplicatedMap::connect`]: crate::ReplicatedMap::connect
#[derive(Clone)]
pub struct ClientConfig {
    pub(super) endpoints: Vec<String>,
    pub(super) name: String,
    pub(super) security: SecuritySettings,
    pub(super) request_timeout: Duration,
    pub(super) consistency: Consistency,
    environment: Environment,
}

impl fmt::Debug for ClientConfig {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("endpoints", &self.endpoints)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Settings that have been checked; see [`ClientConfig`].
#[derive(Debug, Clone)]
pub(crate) struct CheckedClientConfig {
    /// At least one.
    pub(crate) endpoints: Vec<String>,
    pub(crate) name: String,
    pub(crate) security: Security,
    pub(crate) request_timeout: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) environment: Environment,
}

impl ClientConfig {
    /// Makes the default settings for a cluster that is reached at any of these `host:port`s: the
    /// addresses that its members [listen](crate::Config::listen) on, not those of HTTP. One that
    /// answers is enough, since it tells of the others; names are resolved again on every dial.
    #[must_use]
    pub fn new<A: Into<String>>(endpoints: impl IntoIterator<Item = A>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            name: "client".to_owned(),
            security: SecuritySettings::default(),
            request_timeout: Duration::from_secs(5),
            consistency: Consistency::Linearizable,
            environment: Environment::default(),
        }
    }

    /// Sets the word for this client in the logs of the members: 1 to 63 bytes of letters, digits,
    /// `-`, `_` and `.`. It need not be unique. Default `client`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds the secret that all nodes share; see [`Config::cluster_secret`](crate::Config::cluster_secret).
    /// Whoever has it can do everything that a member can.
    #[must_use]
    pub fn cluster_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.security.add_secret(secret.as_ref());
        self
    }

    /// Sets the PEM files of a certificate authority, and of this client's certificate and key
    /// (PKCS#8 or SEC1). They are read again when they change.
    #[must_use]
    pub fn tls(
        mut self,
        ca: impl AsRef<Path>,
        cert: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Self {
        self.security.tls_ca = Some(ca.as_ref().to_owned());
        self.security.tls_cert = Some(cert.as_ref().to_owned());
        self.security.tls_key = Some(key.as_ref().to_owned());
        self
    }

    /// Gives up the protection, as the members did. Default [`Insecure::No`].
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Self {
        self.security.insecure = insecure;
        self
    }

    /// Sets the deadline of calls that do not set their own, connecting included. Default 5 s, at
    /// most 10 min.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the consistency of reads that do not set their own. Default linearizable; `local` is
    /// what the member has that is asked.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Puts a simulated world under the client.
    #[doc(hidden)]
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    pub(crate) fn check(self) -> Result<CheckedClientConfig> {
        if self.endpoints.is_empty() {
            return Err(Error::invalid(
                "endpoints is empty; name the host:port of at least one member",
            ));
        }
        for endpoint in &self.endpoints {
            check_address("endpoints", endpoint)?;
            if endpoint.ends_with(":0") {
                return Err(Error::invalid(format!(
                    "endpoints: {endpoint:?} has the port 0, where nobody listens"
                )));
            }
        }
        check_name(&self.name)?;
        check_request_timeout(self.request_timeout)?;
        let loopback = self.endpoints.iter().all(|endpoint| is_loopback(endpoint));
        let what = format!("a client of {}", self.endpoints.join(", "));
        Ok(CheckedClientConfig {
            security: self.security.check(&what, loopback)?,
            endpoints: self.endpoints,
            name: self.name,
            request_timeout: self.request_timeout,
            consistency: self.consistency,
            environment: self.environment,
        })
    }
}

/// Returns whether an address is of this machine by its form; no name is resolved for that.
fn is_loopback(address: &str) -> bool {
    let Some((host, _)) = address.rsplit_once(':') else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn refusal(config: ClientConfig) -> String {
        let error = config.check().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    }

    #[test]
    fn a_client_needs_an_endpoint_and_one_kind_of_security() {
        assert!(refusal(ClientConfig::new(Vec::<String>::new())).contains("endpoints"));
        assert!(refusal(ClientConfig::new(["h"])).contains("host:port"));
        assert!(refusal(ClientConfig::new(["http://h:1"])).contains("URL"));
        assert!(refusal(ClientConfig::new(["::1:7001"])).contains("brackets"));
        assert!(refusal(ClientConfig::new(["h:0"])).contains("port 0"));
        for way in ["cluster_secret", "tls_ca", "insecure"] {
            assert!(refusal(ClientConfig::new(["h:1"])).contains(way));
        }
    }

    #[test]
    fn an_insecure_client_stays_on_loopback_unless_forced() {
        let of =
            |endpoint: &str, insecure| ClientConfig::new([endpoint]).insecure(insecure).check();
        for endpoint in ["127.0.0.1:1", "localhost:1", "[::1]:1"] {
            assert!(of(endpoint, Insecure::Loopback).is_ok(), "{endpoint}");
        }
        assert!(of("h.example:1", Insecure::Loopback).is_err());
        assert!(of("h.example:1", Insecure::Anywhere).is_ok());
    }

    #[test]
    fn every_named_setting_can_be_set_from_text_and_wrong_ones_name_themselves() {
        let mut config = ClientConfig::new(Vec::<String>::new());
        let values = [
            ("name", "w"),
            ("endpoints", "a:1, b:2"),
            ("consistency", "local"),
            ("request_timeout", "2s"),
            ("cluster_secret", "0123456789abcdef0123456789abcdef"),
        ];
        for (name, value) in values {
            config.set(name, value).unwrap();
        }
        let checked = config.clone().check().unwrap();
        assert_eq!(checked.endpoints, ["a:1", "b:2"]);
        assert_eq!(checked.request_timeout, Duration::from_secs(2));
        for name in ["data_dir", "request_timeout", "insecure"] {
            let text = config.set(name, "much").expect_err("refused").to_string();
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let config = ClientConfig::new(["h:1"]).cluster_secret("0123456789abcdef0123456789abcdef");
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }
}
