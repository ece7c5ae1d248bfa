//! `Config` holds every setting of a node: its default, its unit, why it is so.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

use crate::command::{CEILING_COMMAND_BYTES, CEILING_VALUE_BYTES, FORMAT_LEVEL, Settings};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::options::Consistency;

/// Longest node name in bytes: it becomes part of DNS names and of every member record.
const MAX_NAME_BYTES: usize = 63;
/// Shortest cluster secret in bytes: 256 bits of entropy, if they are random.
pub(crate) const MIN_SECRET_BYTES: usize = 32;
/// Shortest heartbeat: below it two noisy cores cannot keep up.
const MIN_HEARTBEAT: Duration = Duration::from_millis(10);
/// An election timeout shorter than this many heartbeats would take one lost packet for a death.
const HEARTBEATS_PER_ELECTION: u32 = 4;
/// Longest election timeout; anything longer is an outage.
const MAX_ELECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest timeout of one call (1 h): far below the life of a session.
const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Room that a command needs around one value: its key, its tags, its session.
const COMMAND_OVERHEAD_BYTES: u32 = 64 << 10;
/// The default of `max_command_bytes`, raised where one value needs more.
const DEFAULT_COMMAND_BYTES: u32 = 8 << 20;

/// The settings of one node, before they are checked by [`ReplicatedMap::open`].
///
/// A `Config` with nothing but a data directory opens a single node that has no socket. Give
/// `listen`, `members` and one kind of security to make it a member of a cluster.
///
/// ```
/// use kvraft::Config;
///
/// let config = Config::new("./data/a")
///     .name("a")
///     .listen("127.0.0.1:7001")
///     .members([("a", "127.0.0.1:7001"), ("b", "127.0.0.1:7002"), ("c", "127.0.0.1:7003")])
///     .cluster_secret("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00");
/// ```
///
/// [`ReplicatedMap::open`]: crate::ReplicatedMap::open
#[derive(Clone)]
pub struct Config {
    pub(crate) data_dir: PathBuf,
    name: String,
    listen: Option<String>,
    advertise: Option<String>,
    advertise_http: String,
    labels: BTreeMap<String, String>,
    members: Vec<(String, String)>,
    cluster_secrets: Vec<Vec<u8>>,
    tls_ca: Option<PathBuf>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    insecure: Insecure,
    heartbeat_interval: Duration,
    election_timeout: Duration,
    request_timeout: Duration,
    consistency: Consistency,
    max_value_bytes: u64,
    storage_limit_bytes: u64,
    checkpoint_interval: Duration,
    log_keep_bytes: Option<u64>,
    environment: Environment,
}

impl fmt::Debug for Config {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("name", &self.name)
            .field("listen", &self.listen)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// Whether the traffic between nodes may go unprotected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Insecure {
    /// Nodes prove who they are and encrypt what they say.
    #[default]
    No,
    /// No protection, and so no address but a loopback one.
    Loopback,
    /// No protection on any address: everyone who reaches the port is a member.
    Anywhere,
}

/// By what the nodes of a cluster know each other.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Security {
    /// Secrets that all nodes share: the first signs, all are trusted.
    Secrets(Vec<Vec<u8>>),
    /// PEM files, read again when they change.
    Files(SecurityFiles),
    /// Encrypted, but everybody is trusted.
    Insecure,
}

/// Where the certificates of [`Security::Files`] lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecurityFiles {
    /// Certificates of the authorities whose nodes are trusted.
    pub(crate) ca: PathBuf,
    /// The certificate of this node, then those between it and the authority.
    pub(crate) cert: PathBuf,
    /// The private key of this node: PKCS#8 or SEC1.
    pub(crate) key: PathBuf,
}

impl fmt::Debug for Security {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secrets(secrets) => write!(f, "{} cluster secrets", secrets.len()),
            Self::Files(files) => files.fmt(f),
            Self::Insecure => f.write_str("insecure"),
        }
    }
}

/// How a node is reached, if it has a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) listen: SocketAddr,
    /// `host:port` that peers dial; port 0 means the one that was bound.
    pub(crate) advertise: String,
    pub(crate) security: Security,
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
    /// What the cluster is founded with, if it is founded now.
    pub(crate) settings: Settings,
    pub(crate) request_timeout: Duration,
    pub(crate) consistency: Consistency,
    pub(crate) checkpoint_interval: Duration,
    /// Log bytes that make a snapshot due; by the size of the state if unset.
    pub(crate) log_keep_bytes: Option<u64>,
    pub(crate) environment: Environment,
}

impl Config {
    /// Makes the default settings for the data directory `data_dir`, which is created if needed.
    #[must_use]
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        Self {
            data_dir: data_dir.as_ref().to_owned(),
            name: "node".to_owned(),
            listen: None,
            advertise: None,
            advertise_http: String::new(),
            labels: BTreeMap::new(),
            members: Vec::new(),
            cluster_secrets: Vec::new(),
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            insecure: Insecure::No,
            heartbeat_interval: Duration::from_millis(50),
            election_timeout: Duration::from_millis(200),
            request_timeout: Duration::from_secs(5),
            consistency: Consistency::Linearizable,
            max_value_bytes: 4 << 20,
            storage_limit_bytes: 8 << 30,
            checkpoint_interval: Duration::from_secs(1),
            log_keep_bytes: None,
            environment: Environment::default(),
        }
    }

    /// Sets the stable word for this node, shown as `leaderID` while it leads: 1 to 63 bytes of
    /// letters, digits, `-`, `_` and `.`. Default `node`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the UDP address `ip:port` to listen on; port 0 takes a free one. Default: no socket.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Sets the `host:port` that peers dial. Default: this node's address in `members`, else
    /// `listen`. A name is resolved again on every dial.
    #[must_use]
    pub fn advertise(mut self, address: impl Into<String>) -> Self {
        self.advertise = Some(address.into());
        self
    }

    /// Sets the base URL that clients may be sent to, such as `http://a.example:8080`. Default: none.
    #[must_use]
    pub fn advertise_http(mut self, url: impl Into<String>) -> Self {
        self.advertise_http = url.into();
        self
    }

    /// Adds a label that the member record carries, such as a zone.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Sets the names and addresses of the nodes that found the cluster together, this one
    /// included. The order does not matter; all nodes must be given the same list. It is used
    /// only until the cluster is founded. Default: this node alone.
    #[must_use]
    pub fn members<N: Into<String>, A: Into<String>>(
        mut self,
        members: impl IntoIterator<Item = (N, A)>,
    ) -> Self {
        self.members =
            members.into_iter().map(|(name, address)| (name.into(), address.into())).collect();
        self
    }

    /// Adds a secret that all nodes share: at least 32 random bytes, in any text form. All are
    /// trusted, the first one signs, so that secrets can be exchanged under load: add the new
    /// one everywhere as the second, then as the first, then drop the old one.
    #[must_use]
    pub fn cluster_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.cluster_secrets.push(secret.as_ref().trim_ascii().to_vec());
        self
    }

    /// Sets the PEM files of a certificate authority, and of this node's certificate and key
    /// (PKCS#8 or SEC1). They are read again when they change.
    #[must_use]
    pub fn tls(
        mut self,
        ca: impl AsRef<Path>,
        cert: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Self {
        self.tls_ca = Some(ca.as_ref().to_owned());
        self.tls_cert = Some(cert.as_ref().to_owned());
        self.tls_key = Some(key.as_ref().to_owned());
        self
    }

    /// Gives up the protection between nodes. Default [`Insecure::No`].
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Self {
        self.insecure = insecure;
        self
    }

    /// Sets how often a leader shows that it lives. Default 50 ms, at least 10 ms. All nodes
    /// share the value that the cluster was founded with.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets the shortest silence of a leader before an election; the longest is twice that.
    /// Default 200 ms, at least four heartbeats, at most 60 s. Take 750 ms across zones. All
    /// nodes share the value that the cluster was founded with.
    #[must_use]
    pub fn election_timeout(mut self, timeout: Duration) -> Self {
        self.election_timeout = timeout;
        self
    }

    /// Sets the deadline of calls that do not set their own. Default 5 s, at most 10 min: time
    /// for an election and a retry.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the consistency of reads that do not set their own. Default linearizable.
    #[must_use]
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Sets the largest value in bytes. Default 4 MiB, at most 64 MiB. All nodes share the value
    /// that the cluster was founded with.
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: u64) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Sets how many bytes all keys and values may have together. Default 8 GiB. Beyond it
    /// writes that grow fail as `Full`, while deletes and reads go on. All nodes share the value
    /// that the cluster was founded with.
    #[must_use]
    pub fn storage_limit_bytes(mut self, bytes: u64) -> Self {
        self.storage_limit_bytes = bytes;
        self
    }

    /// Sets how often applied changes move from memory and log into the state file. Default 1 s,
    /// 10 ms to 10 min. A longer interval costs memory and start-up time, never safety.
    #[must_use]
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// Makes a snapshot due at a log of this size, so that a test need not write gigabytes.
    #[doc(hidden)]
    #[must_use]
    pub const fn log_keep_bytes(mut self, bytes: u64) -> Self {
        self.log_keep_bytes = Some(bytes);
        self
    }

    /// Puts a simulated world under the node.
    #[doc(hidden)]
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

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
            "members" => self.members = pairs(name, value)?,
            "cluster_secret" => self.cluster_secrets.push(value.trim().as_bytes().to_vec()),
            "cluster_secret_file" => self.cluster_secrets.push(read_secret(value)?),
            "tls_ca" => self.tls_ca = Some(value.into()),
            "tls_cert" => self.tls_cert = Some(value.into()),
            "tls_key" => self.tls_key = Some(value.into()),
            "insecure" => self.insecure = parse(name, value, "true, false or anywhere")?,
            "consistency" => self.consistency = parse(name, value, "linearizable or local")?,
            "heartbeat_interval" => self.heartbeat_interval = duration(name, value)?,
            "election_timeout" => self.election_timeout = duration(name, value)?,
            "request_timeout" => self.request_timeout = duration(name, value)?,
            "checkpoint_interval" => self.checkpoint_interval = duration(name, value)?,
            "max_value_bytes" => self.max_value_bytes = size(name, value)?,
            "storage_limit_bytes" => self.storage_limit_bytes = size(name, value)?,
            _ => {
                return Err(Error::invalid(format!(
                    "setting {name:?} is unknown; known are {}",
                    Self::NAMES.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// The names that [`Config::set`] knows.
    pub const NAMES: [&'static str; 20] = [
        "data_dir",
        "name",
        "listen",
        "advertise",
        "advertise_http",
        "labels",
        "members",
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
    ];

    pub(crate) fn check(self) -> Result<CheckedConfig> {
        if self.data_dir.as_os_str().is_empty() {
            return Err(Error::invalid(
                "data_dir is empty; name the directory that holds this node's data",
            ));
        }
        check_name(&self.name)?;
        let settings = self.settings()?;
        check_range(
            "request_timeout",
            self.request_timeout,
            Duration::from_millis(1),
            MAX_REQUEST_TIMEOUT,
        )?;
        check_range(
            "checkpoint_interval",
            self.checkpoint_interval,
            Duration::from_millis(10),
            Duration::from_secs(600),
        )?;
        let members = self.checked_members()?;
        let endpoint = self.endpoint(&members)?;
        Ok(CheckedConfig {
            data_dir: self.data_dir,
            name: self.name,
            endpoint,
            advertise_http: self.advertise_http,
            labels: self.labels,
            members,
            settings,
            request_timeout: self.request_timeout,
            consistency: self.consistency,
            checkpoint_interval: self.checkpoint_interval,
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
            format_level: FORMAT_LEVEL,
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
        Ok(Some(Endpoint { listen: address, advertise, security: self.security(address)? }))
    }

    fn security(&self, listen: SocketAddr) -> Result<Security> {
        let files = [&self.tls_ca, &self.tls_cert, &self.tls_key];
        let given = usize::from(!self.cluster_secrets.is_empty())
            + usize::from(files.iter().any(|file| file.is_some()))
            + usize::from(self.insecure != Insecure::No);
        if given != 1 {
            let what =
                if given == 0 { "has no security" } else { "has more than one kind of security" };
            return Err(Error::invalid(format!(
                "listen {listen} {what}; set exactly one of cluster_secret, tls_ca with tls_cert and tls_key, \
                 or insecure"
            )));
        }
        if let [Some(ca), Some(cert), Some(key)] = files {
            return Ok(Security::Files(SecurityFiles {
                ca: ca.clone(),
                cert: cert.clone(),
                key: key.clone(),
            }));
        }
        if files.iter().any(|file| file.is_some()) {
            return Err(Error::invalid(
                "tls_ca, tls_cert and tls_key belong together; one of them is not set",
            ));
        }
        if self.insecure == Insecure::Loopback && !listen.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "insecure is for loopback addresses, and listen is {listen}; set cluster_secret, or insecure to \
                 anywhere if everyone who reaches this port may be a member"
            )));
        }
        if self.insecure != Insecure::No {
            return Ok(Security::Insecure);
        }
        if let Some(short) =
            self.cluster_secrets.iter().find(|secret| secret.len() < MIN_SECRET_BYTES)
        {
            return Err(Error::invalid(format!(
                "cluster_secret has {} bytes; take at least {MIN_SECRET_BYTES} random ones, as \
                 `kvraft-server gen-secret` makes",
                short.len()
            )));
        }
        Ok(Security::Secrets(self.cluster_secrets.clone()))
    }
}

impl FromStr for Insecure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "true" | "loopback" => Ok(Self::Loopback),
            "false" => Ok(Self::No),
            "anywhere" => Ok(Self::Anywhere),
            _ => Err(Error::invalid(format!("{text:?} is none of true, false, anywhere"))),
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "name {name:?} is not 1 to {MAX_NAME_BYTES} letters, digits, '-', '_' or '.'"
    )))
}

fn check_address(setting: &str, address: &str) -> Result<()> {
    let host_and_port = address
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    host_and_port
        .map(drop)
        .ok_or_else(|| Error::invalid(format!("{setting}: address {address:?} is not host:port")))
}

/// Checks a duration and returns its milliseconds.
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
    if settings.format_level > FORMAT_LEVEL {
        return Err(Error::invalid(format!(
            "format level {} is unknown to the leader, which knows {FORMAT_LEVEL}",
            settings.format_level
        )));
    }
    Ok(())
}

fn check_range(setting: &str, value: Duration, least: Duration, most: Duration) -> Result<u32> {
    if value < least || value > most {
        return Err(Error::invalid(format!("{setting} is {value:?}; take {least:?} to {most:?}")));
    }
    Ok(u32::try_from(value.as_millis()).unwrap_or(u32::MAX))
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

fn pairs(setting: &str, text: &str) -> Result<Vec<(String, String)>> {
    let lines = text.split(',').map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let pair = line
                .split_once('=')
                .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
            pair.ok_or_else(|| Error::invalid(format!("{setting}: {line:?} is not name=value")))
        })
        .collect()
}

fn read_secret(path: &str) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::invalid(format!("cluster_secret_file {path:?} cannot be read")).with_source(error)
    })?;
    Ok(bytes.trim_ascii().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn refusal(config: Config) -> String {
        let error = config.check().expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    }

    #[test]
    fn a_data_directory_is_enough_for_a_single_node_without_a_socket() {
        let checked = Config::new("d").check().unwrap();
        assert_eq!(checked.endpoint, None);
        assert_eq!(checked.members.len(), 1);
    }

    #[test]
    fn a_listening_node_without_security_is_told_all_three_ways() {
        let text = refusal(Config::new("d").listen("127.0.0.1:0"));
        for way in ["cluster_secret", "tls_ca", "insecure"] {
            assert!(text.contains(way), "{text}");
        }
    }

    #[test]
    fn insecure_stays_on_loopback_unless_forced() {
        let open =
            |address: &str, insecure| Config::new("d").listen(address).insecure(insecure).check();
        assert!(open("127.0.0.1:0", Insecure::Loopback).is_ok());
        assert!(open("0.0.0.0:0", Insecure::Loopback).is_err());
        assert!(open("0.0.0.0:0", Insecure::Anywhere).is_ok());
    }

    #[test]
    fn a_short_secret_is_told_how_to_make_a_long_one() {
        let text = refusal(Config::new("d").listen("127.0.0.1:0").cluster_secret("short"));
        assert!(text.contains("gen-secret"), "{text}");
    }

    #[test]
    fn members_without_the_own_name_or_without_listen_are_refused() {
        assert!(refusal(Config::new("d").name("x").members([("a", "h:1")])).contains("lacks"));
        assert!(
            refusal(Config::new("d").name("a").members([("a", "h:1"), ("b", "h:2")]))
                .contains("listen")
        );
    }

    #[test]
    fn every_named_setting_can_be_set_from_text() {
        let values = [
            ("data_dir", "d"),
            ("name", "a"),
            ("listen", "127.0.0.1:7001"),
            ("advertise", "a.example:7001"),
            ("advertise_http", "http://a.example"),
            ("labels", "zone=1,rack=2"),
            ("members", "a=h:1, b=h:2"),
            ("cluster_secret", SECRET),
            ("heartbeat_interval", "100ms"),
            ("election_timeout", "1s"),
            ("request_timeout", "2s"),
            ("consistency", "local"),
            ("max_value_bytes", "1MiB"),
            ("storage_limit_bytes", "1000000"),
            ("checkpoint_interval", "500ms"),
        ];
        let mut config = Config::new("x");
        for (name, value) in values {
            config.set(name, value).unwrap();
        }
        let checked = config.check().unwrap();
        assert_eq!(checked.settings.max_value_bytes, 1 << 20);
        assert_eq!(checked.settings.election_timeout_ms, 1000);
        assert_eq!(checked.members.len(), 2);
        assert_eq!(checked.labels.len(), 2);
    }

    #[test]
    fn a_wrong_value_names_the_setting_and_what_it_takes() {
        let mut config = Config::new("x");
        for (name, value) in [
            ("request_timeout", "5"),
            ("max_value_bytes", "many"),
            ("members", "a"),
            ("insecure", "no"),
        ] {
            let text = config.set(name, value).expect_err("refused").to_string();
            assert!(text.contains(name), "{text}");
        }
        assert!(config.set("colour", "red").is_err());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let text = format!("{:?}", Config::new("d").cluster_secret(SECRET));
        assert!(!text.contains(SECRET), "{text}");
    }
}
