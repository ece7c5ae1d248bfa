//! `CheckedConfig` is what a `Config` says once nothing in it can be wrong any more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::Config;
use super::security::Security;
use crate::command::{CEILING_COMMAND_BYTES, CEILING_VALUE_BYTES, Settings};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::options::Consistency;

/// Longest node name in bytes: it becomes part of DNS names and of every member record.
const MAX_NAME_BYTES: usize = 63;
/// Shortest heartbeat: below it two noisy cores cannot keep up.
const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
/// An election timeout shorter than this many heartbeats would take one lost packet for a death.
const HEARTBEATS_PER_ELECTION: u32 = 4;
/// Nodes that found a cluster at most: far more voters than are good for it.
const MAX_FOUNDERS: u32 = 64;
/// Longest election timeout; anything longer is an outage.
const MAX_ELECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest timeout of one call: far below the life of a session.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Slowest snapshots: a node that joins a map of one gigabyte waits a quarter of an hour.
const MIN_SNAPSHOT_RATE: u64 = 1 << 20;
/// Room that a command needs around one value: its key, its tags, its session.
const COMMAND_OVERHEAD_BYTES: u32 = 64 << 10;
/// The default of `max_command_bytes`, raised where one value needs more.
const DEFAULT_COMMAND_BYTES: u32 = 8 << 20;

/// How a node is reached, if it has a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) listen: SocketAddr,
    /// `host:port` that peers dial; port 0 means the one that was bound.
    pub(crate) advertise: String,
    pub(crate) security: Security,
}

/// How nodes that are given no list find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discovery {
    /// `host:port` whose name stands for the addresses of all.
    pub(crate) dns: String,
    /// So many of them found the cluster.
    pub(crate) expect: usize,
}

/// Settings that have been checked; see [`Config`].
#[derive(Debug, Clone)]
pub(crate) struct CheckedConfig {
    pub(crate) data_dir: PathBuf,
    pub(crate) name: String,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) advertise_http: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Sorted by name; holds at least this node.
    pub(crate) members: BTreeMap<String, String>,
    /// Where to ask for a place in a cluster that exists; empty to found one.
    pub(crate) join: Vec<String>,
    pub(crate) auto_promote: bool,
    /// How to found a cluster without a list of its members.
    pub(crate) discovery: Option<Discovery>,
    /// What the cluster is founded with, if it is founded now.
    pub(crate) settings: Settings,
    pub(crate) request_timeout: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) checkpoint_interval: Duration,
    /// Bytes of snapshots that this node sends in a second, to all others together.
    pub(crate) snapshot_bytes_per_second: u64,
    /// Log bytes that make a snapshot due; by the size of the state if unset.
    pub(crate) log_keep_bytes: Option<u64>,
    pub(crate) environment: Environment,
}

impl Config {
    pub(crate) fn check(self) -> Result<CheckedConfig> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(Error::invalid(
                "data_dir is empty; name the directory that holds this node's data",
            ));
        }
        check_name(&self.name)?;
        let settings = self.settings()?;
        check_request_timeout(self.request_timeout)?;
        check_range(
            "checkpoint_interval",
            self.checkpoint_interval,
            Duration::from_millis(10),
            Duration::from_secs(600),
        )?;
        if self.snapshot_bytes_per_second < MIN_SNAPSHOT_RATE {
            return Err(Error::invalid(format!(
                "snapshot_bytes_per_second is {}; take at least {MIN_SNAPSHOT_RATE} (1 MiB)",
                self.snapshot_bytes_per_second
            )));
        }
        let members = self.checked_members()?;
        self.check_join()?;
        let discovery = self.discovery()?;
        let endpoint = self.endpoint(&members)?;
        Ok(CheckedConfig {
            data_dir: self.data_dir,
            name: self.name,
            endpoint,
            advertise_http: self.advertise_http,
            labels: self.labels,
            members,
            join: self.join,
            auto_promote: self.auto_promote,
            discovery,
            settings,
            request_timeout: self.request_timeout,
            consistency: self.consistency,
            checkpoint_interval: self.checkpoint_interval,
            snapshot_bytes_per_second: self.snapshot_bytes_per_second,
            log_keep_bytes: self.log_keep_bytes,
            environment: self.environment,
        })
    }

    fn settings(&self) -> Result<Settings> {
        let heartbeat = check_range(
            "heartbeat_interval",
            self.heartbeat_interval,
            MIN_HEARTBEAT,
            MAX_ELECTION_TIMEOUT,
        )?;
        let least = self.heartbeat_interval * HEARTBEATS_PER_ELECTION;
        let election =
            check_range("election_timeout", self.election_timeout, least, MAX_ELECTION_TIMEOUT)?;
        let max_value_bytes = u32::try_from(self.max_value_bytes)
            .ok()
            .filter(|bytes| (1..=CEILING_VALUE_BYTES).contains(bytes))
            .ok_or_else(|| {
                Error::invalid(format!(
                    "max_value_bytes is {}; take 1 to {CEILING_VALUE_BYTES} (64 MiB)",
                    self.max_value_bytes
                ))
            })?;
        if self.storage_limit_bytes == 0 {
            return Err(Error::invalid("storage_limit_bytes is 0; nothing could ever be put"));
        }
        Ok(Settings {
            storage_limit_bytes: self.storage_limit_bytes,
            max_value_bytes,
            max_command_bytes: DEFAULT_COMMAND_BYTES.max(max_value_bytes + COMMAND_OVERHEAD_BYTES),
            heartbeat_interval_ms: heartbeat,
            election_timeout_ms: election,
            format_level: self.environment.versions.format_level,
        })
    }

    fn checked_members(&self) -> Result<BTreeMap<String, String>> {
        let mut members = BTreeMap::new();
        for (name, address) in &self.members {
            check_name(name)?;
            check_address("members", address)?;
            if members.insert(name.clone(), address.clone()).is_some() {
                return Err(Error::invalid(format!("members names {name:?} twice")));
            }
        }
        if members.is_empty() {
            members.insert(self.name.clone(), String::new());
        } else if !members.contains_key(&self.name) {
            let known = members.into_keys().collect::<Vec<_>>().join(", ");
            return Err(Error::invalid(format!(
                "members ({known}) lacks this node's own name {:?}",
                self.name
            )));
        }
        Ok(members)
    }

    fn discovery(&self) -> Result<Option<Discovery>> {
        let (dns, expect) = match (&self.discover_dns, self.bootstrap_expect) {
            (None, None) => return Ok(None),
            (Some(dns), Some(expect)) => (dns, expect),
            (Some(_), None) => {
                return Err(Error::invalid(
                    "discover_dns is set, and bootstrap_expect is not: say how many nodes found the cluster",
                ));
            }
            (None, Some(_)) => {
                return Err(Error::invalid(
                    "bootstrap_expect is set, and discover_dns is not: name the host:port that stands for all nodes",
                ));
            }
        };
        check_address("discover_dns", dns)?;
        if !(1..=MAX_FOUNDERS).contains(&expect) {
            return Err(Error::invalid(format!(
                "bootstrap_expect is {expect}; take 1 to {MAX_FOUNDERS}"
            )));
        }
        if self.members.len() > 1 || !self.join.is_empty() {
            return Err(Error::invalid(
                "discover_dns is set beside members or join; a node finds its cluster in one way only",
            ));
        }
        if self.listen.is_none() {
            return Err(Error::invalid(
                "discover_dns is set, but listen is not; set it to ip:port",
            ));
        }
        Ok(Some(Discovery { dns: dns.clone(), expect: usize::try_from(expect).unwrap_or(1) }))
    }

    fn check_join(&self) -> Result<()> {
        for address in &self.join {
            check_address("join", address)?;
        }
        if !self.join.is_empty() && self.members.len() > 1 {
            return Err(Error::invalid(
                "join and members are both set; a node joins a cluster that exists, or founds one",
            ));
        }
        if !self.join.is_empty() && self.listen.is_none() {
            return Err(Error::invalid(
                "join is set, but listen is not: other members must reach this node",
            ));
        }
        Ok(())
    }

    fn endpoint(&self, members: &BTreeMap<String, String>) -> Result<Option<Endpoint>> {
        let Some(listen) = &self.listen else {
            return if members.len() > 1 {
                Err(Error::invalid(
                    "members names other nodes, but listen is not set; set listen to ip:port",
                ))
            } else {
                Ok(None)
            };
        };
        let address = SocketAddr::from_str(listen).map_err(|error| {
            Error::invalid(format!(
                "listen {listen:?} is not ip:port; take for example 127.0.0.1:7001"
            ))
            .with_source(error)
        })?;
        let own = members.get(&self.name).filter(|own| !own.is_empty());
        let advertise = self.advertise.as_ref().or(own).unwrap_or(listen).clone();
        check_address("advertise", &advertise)?;
        let security =
            self.security.check(&format!("listen {listen}"), address.ip().is_loopback())?;
        if is_unspecified(&advertise) {
            return Err(Error::invalid(format!(
                "others would be told to reach this node at {advertise}, which is every address of whoever dials it; \
                 set advertise to the host:port at which they reach it"
            )));
        }
        Ok(Some(Endpoint { listen: address, advertise, security }))
    }
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "name {name:?} is not 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' or '.'"
    )))
}

pub(super) fn check_address(setting: &str, address: &str) -> Result<()> {
    if address.contains("://") {
        return Err(Error::invalid(format!(
            "{setting}: address {address:?} is a URL; give the host:port that a node listens on for QUIC"
        )));
    }
    let parts = address
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let Some((host, _)) = parts else {
        return Err(Error::invalid(format!("{setting}: address {address:?} is not host:port")));
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(Error::invalid(format!(
            "{setting}: address {address:?} is not clear; write an IPv6 address in brackets, as [::1]:7001"
        )));
    }
    Ok(())
}

/// Returns whether an address is one to listen on, and not one to dial.
fn is_unspecified(address: &str) -> bool {
    SocketAddr::from_str(address).is_ok_and(|address| address.ip().is_unspecified())
}

/// Checks shared settings that come from another node: every one must open with them again.
pub(crate) fn check_settings(settings: &Settings) -> Result<()> {
    let millis = |ms: u32| Duration::from_millis(u64::from(ms));
    let heartbeat = millis(settings.heartbeat_interval_ms);
    check_range("heartbeat_interval", heartbeat, MIN_HEARTBEAT, MAX_ELECTION_TIMEOUT)?;
    let election = millis(settings.election_timeout_ms);
    let least = heartbeat * HEARTBEATS_PER_ELECTION;
    check_range("election_timeout", election, least, MAX_ELECTION_TIMEOUT)?;
    let values = 1..=CEILING_VALUE_BYTES;
    let commands =
        settings.max_value_bytes.saturating_add(COMMAND_OVERHEAD_BYTES)..=CEILING_COMMAND_BYTES;
    if !values.contains(&settings.max_value_bytes)
        || !commands.contains(&settings.max_command_bytes)
        || settings.storage_limit_bytes == 0
    {
        return Err(Error::invalid(format!("the sizes are out of bounds: {settings:?}")));
    }
    Ok(())
}

pub(super) fn check_request_timeout(timeout: Duration) -> Result<()> {
    check_range("request_timeout", timeout, Duration::from_millis(1), MAX_REQUEST_TIMEOUT).map(drop)
}

/// Checks a duration and returns its milliseconds.
fn check_range(setting: &str, value: Duration, least: Duration, most: Duration) -> Result<u32> {
    if value < least || value > most {
        return Err(Error::invalid(format!("{setting} is {value:?}; take {least:?} to {most:?}")));
    }
    Ok(u32::try_from(value.as_millis()).unwrap_or(u32::MAX))
}
