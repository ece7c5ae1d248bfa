//! Settings as text: one vocabulary for flags, variables, files, C and Python.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

use super::security::SecuritySettings;
use super::{ClientConfig, Config};
use crate::error::{Error, Result};

impl Config {
    /// Sets one setting by its name from text, as flags, environment variables, C and Python do.
    ///
    /// Durations take a unit (`50ms`, `2s`), sizes may (`4MiB`), lists are separated by commas
    /// (`members` is `a=host:port,b=host:port`), `insecure` is `true`, `false` or `anywhere`.
    /// The names are those of the methods, with `tls_ca`, `tls_cert`, `tls_key` one by one,
    /// `labels` as `key=value,…`, and `cluster_secret_file` for a secret in a file.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the name is unknown or the text is not a value of it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "data_dir" => self.data_dir = value.into(),
            "name" => value.clone_into(&mut self.name),
            "listen" => self.listen = Some(value.to_owned()),
            "advertise" => self.advertise = Some(value.to_owned()),
            "advertise_http" => value.clone_into(&mut self.advertise_http),
            "labels" => self.labels = pairs(name, value)?.into_iter().collect(),
            "join" => self.join = list(value).map(str::to_owned).collect(),
            "bootstrap_expect" => {
                self.bootstrap_expect = Some(parse(name, value, "a number of nodes")?);
            }
            "discover_dns" => self.discover_dns = Some(value.to_owned()),
            "auto_promote" => self.auto_promote = parse(name, value, "true or false")?,
            "members" => self.members = pairs(name, value)?,
            "consistency" => self.consistency = parse(name, value, "linearizable, lease or local")?,
            "heartbeat_interval" => self.heartbeat_interval = duration(name, value)?,
            "election_timeout" => self.election_timeout = duration(name, value)?,
            "request_timeout" => self.request_timeout = duration(name, value)?,
            "checkpoint_interval" => self.checkpoint_interval = duration(name, value)?,
            "max_value_bytes" => self.max_value_bytes = size(name, value)?,
            "storage_limit_bytes" => self.storage_limit_bytes = size(name, value)?,
            "snapshot_bytes_per_second" => self.snapshot_bytes_per_second = size(name, value)?,
            _ if self.security.set(name, value)? => {}
            _ => return Err(unknown(name, &Self::NAMES)),
        }
        Ok(())
    }

    /// The names that [`Config::set`] knows.
    pub const NAMES: [&'static str; 25] = [
        "data_dir",
        "name",
        "listen",
        "advertise",
        "advertise_http",
        "labels",
        "members",
        "join",
        "auto_promote",
        "bootstrap_expect",
        "discover_dns",
        "cluster_secret",
        "cluster_secret_file",
        "tls_ca",
        "tls_cert",
        "tls_key",
        "insecure",
        "consistency",
        "heartbeat_interval",
        "election_timeout",
        "request_timeout",
        "checkpoint_interval",
        "max_value_bytes",
        "storage_limit_bytes",
        "snapshot_bytes_per_second",
    ];
}

impl ClientConfig {
    /// Sets one setting by its name from text; see [`Config::set`] for the forms. `endpoints` is
    /// `host:port,host:port`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) if the name is unknown or the text is not a value of it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "name" => value.clone_into(&mut self.name),
            "endpoints" => self.endpoints = list(value).map(str::to_owned).collect(),
            "consistency" => self.consistency = parse(name, value, "linearizable, lease or local")?,
            "request_timeout" => self.request_timeout = duration(name, value)?,
            _ if self.security.set(name, value)? => {}
            _ => return Err(unknown(name, &Self::NAMES)),
        }
        Ok(())
    }

    /// The names that [`ClientConfig::set`] knows.
    pub const NAMES: [&'static str; 10] = [
        "name",
        "endpoints",
        "consistency",
        "request_timeout",
        "cluster_secret",
        "cluster_secret_file",
        "tls_ca",
        "tls_cert",
        "tls_key",
        "insecure",
    ];
}

impl SecuritySettings {
    /// Sets one setting from text; returns whether the name is one of these.
    fn set(&mut self, name: &str, value: &str) -> Result<bool> {
        match name {
            "cluster_secret" => self.add_secret(value.as_bytes()),
            "cluster_secret_file" => self.add_secret(&read_secret(value)?),
            "tls_ca" => self.tls_ca = Some(value.into()),
            "tls_cert" => self.tls_cert = Some(value.into()),
            "tls_key" => self.tls_key = Some(value.into()),
            "insecure" => self.insecure = parse(name, value, "true, false or anywhere")?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn unknown(name: &str, known: &[&str]) -> Error {
    Error::invalid(format!("setting {name:?} is unknown; known are {}", known.join(", ")))
}

fn parse<T: FromStr>(setting: &str, text: &str, wanted: &str) -> Result<T> {
    text.trim().parse().map_err(|_| Error::invalid(format!("{setting} {text:?} is not {wanted}")))
}

fn duration(setting: &str, text: &str) -> Result<Duration> {
    humantime::parse_duration(text.trim()).map_err(|_| {
        Error::invalid(format!("{setting} {text:?} is not a duration such as 50ms or 2s"))
    })
}

fn size(setting: &str, text: &str) -> Result<u64> {
    parse::<ByteSize>(setting, text, "a size such as 4MiB or a number of bytes")
        .map(|size| size.as_u64())
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn pairs(setting: &str, text: &str) -> Result<Vec<(String, String)>> {
    list(text)
        .map(|line| {
            let pair = line
                .split_once('=')
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
            pair.ok_or_else(|| Error::invalid(format!("{setting}: {line:?} is not name=value")))
        })
        .collect()
}

fn read_secret(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::invalid(format!("cluster_secret_file {path:?} cannot be read")).with_source(error)
    })
}
