//! `Config` holds every setting of a node: its default, its unit, why it is so.

mod check;
mod client;
mod security;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use self::check::{CheckedConfig, Discovery, check_name, check_settings};
pub(crate) use self::client::CheckedClientConfig;
pub use self::client::ClientConfig;
pub use self::security::Insecure;
use self::security::SecuritySettings;
pub(crate) use self::security::{Security, SecurityFiles};
use crate::environment::Environment;
use crate::error::Result;
use crate::options::Consistency;

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
    join: Vec<String>,
    bootstrap_expect: Option<u32>,
    discover_dns: Option<String>,
    auto_promote: bool,
    security: SecuritySettings,
    heartbeat_interval: Duration,
    election_timeout: Duration,
    request_timeout: Duration,
    consistency: Consistency,
    max_value_bytes: u64,
    storage_limit_bytes: u64,
    checkpoint_interval: Duration,
    snapshot_bytes_per_second: u64,
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
            join: Vec::new(),
            bootstrap_expect: None,
            discover_dns: None,
            auto_promote: true,
            security: SecuritySettings::default(),
            heartbeat_interval: Duration::from_millis(50),
            election_timeout: Duration::from_millis(200),
            request_timeout: Duration::from_secs(5),
            consistency: Consistency::Linearizable,
            max_value_bytes: 4 << 20,
            storage_limit_bytes: 8 << 30,
            checkpoint_interval: Duration::from_secs(1),
            snapshot_bytes_per_second: 64 << 20,
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

    /// Joins the cluster that answers at any of these `host:port`s, instead of founding one with
    /// `members`: this node becomes a learner, and a voter once it has caught up (see
    /// [`auto_promote`](Self::auto_promote)). It is used only until the node is a member. A node
    /// whose disk was wiped comes back like this under its old name, in the place of its former
    /// self, once nobody has heard of that for 10 s.
    #[must_use]
    pub fn join<A: Into<String>>(mut self, addresses: impl IntoIterator<Item = A>) -> Self {
        self.join = addresses.into_iter().map(Into::into).collect();
        self
    }

    /// Founds the cluster with the first so many nodes that are found at
    /// [`discover_dns`](Self::discover_dns), instead of a list in `members`: 1 to 64. All of them
    /// must be given the same number, and it must be more than half of the nodes that start before the
    /// cluster is founded; those that come later join it. With half of them or fewer, two groups could
    /// found a cluster each while the name stands for one group here and for the other there. A node
    /// that sees so many others waits and says so; what the name does not show it, it cannot know.
    #[must_use]
    pub const fn bootstrap_expect(mut self, nodes: u32) -> Self {
        self.bootstrap_expect = Some(nodes);
        self
    }

    /// Sets the `host:port` whose name stands for the addresses of all nodes, as that of a headless
    /// Service does; all nodes listen on that port. It is resolved again whenever it is needed,
    /// also by nodes whose addresses have all changed.
    #[must_use]
    pub fn discover_dns(mut self, name: impl Into<String>) -> Self {
        self.discover_dns = Some(name.into());
        self
    }

    /// Sets whether this node, when it joins, becomes a voter as soon as it has caught up. Default
    /// true; otherwise it stays a learner until somebody
    /// [promotes](crate::ReplicatedMap::promote) it.
    #[must_use]
    pub fn auto_promote(mut self, promote: bool) -> Self {
        self.auto_promote = promote;
        self
    }

    /// Adds a secret that all nodes share: at least 32 random bytes, in any text form. All are
    /// trusted, the first one signs, so that secrets can be exchanged under load: add the new
    /// one everywhere as the second, then as the first, then drop the old one.
    #[must_use]
    pub fn cluster_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.security.add_secret(secret.as_ref());
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
        self.security.tls_ca = Some(ca.as_ref().to_owned());
        self.security.tls_cert = Some(cert.as_ref().to_owned());
        self.security.tls_key = Some(key.as_ref().to_owned());
        self
    }

    /// Gives up the protection between nodes. Default [`Insecure::No`].
    #[must_use]
    pub fn insecure(mut self, insecure: Insecure) -> Self {
        self.security.insecure = insecure;
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

    /// Sets how many bytes of snapshots this node sends in a second, to all other nodes together.
    /// Default 64 MiB, about half of a link of one gigabit, so that writes and heartbeats find
    /// room beside a node that joins; at least 1 MiB. The log is kept meanwhile for what comes
    /// after the snapshot, up to four times its usual size: a rate far below what is written in a
    /// second needs more than that, and such a node never catches up.
    #[must_use]
    pub const fn snapshot_bytes_per_second(mut self, bytes: u64) -> Self {
        self.snapshot_bytes_per_second = bytes;
        self
    }

    /// Makes a snapshot due at a log of this size, so that a test need not write gigabytes.
    #[doc(hidden)]
    #[must_use]
    pub const fn log_keep_bytes(mut self, bytes: u64) -> Self {
        self.log_keep_bytes = Some(bytes);
        self
    }

    /// Says whether a node could be opened with these settings, without opening one. What only the
    /// machine knows is not looked at: whether a port is free, or a name stands for an address.
    ///
    /// # Errors
    /// `InvalidArgument` with the first setting that is wrong or missing, as
    /// [`open`](crate::ReplicatedMap::open) would say.
    ///
    /// # Examples
    /// ```
    /// let config = kvraft::Config::new("./data");
    /// assert!(config.validate().is_ok());
    /// let open_to_all = config.listen("0.0.0.0:7000");
    /// assert!(open_to_all.validate().unwrap_err().to_string().contains("cluster_secret"));
    /// ```
    pub fn validate(&self) -> Result<()> {
        self.clone().check().map(drop)
    }

    /// Puts a simulated world under the node.
    #[doc(hidden)]
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }
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
        let open = |address: &str, insecure| {
            let config = Config::new("d").listen(address).advertise("127.0.0.1:1");
            config.insecure(insecure).check()
        };
        assert!(open("127.0.0.1:0", Insecure::Loopback).is_ok());
        assert!(open("0.0.0.0:0", Insecure::Loopback).is_err());
        assert!(open("0.0.0.0:0", Insecure::Anywhere).is_ok());
    }

    #[test]
    fn who_listens_everywhere_says_where_he_is_reached() {
        let open = Config::new("d").listen("0.0.0.0:7001").cluster_secret(SECRET);
        assert!(refusal(open.clone()).contains("advertise"));
        assert!(open.clone().advertise("a.example:7001").check().is_ok());
        let listed = open.name("a").members([("a", "a.example:7001"), ("b", "b.example:7001")]);
        assert!(listed.check().is_ok());
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
    fn a_node_that_joins_needs_a_socket_and_founds_nothing() {
        let joins = || Config::new("d").join(["h:1"]);
        let open = || joins().listen("127.0.0.1:0").insecure(Insecure::Loopback);
        assert_eq!(open().check().unwrap().join, ["h:1"]);
        assert!(refusal(joins()).contains("listen"));
        assert!(refusal(open().join(["h"])).contains("host:port"));
        let both = open().name("a").members([("a", "h:1"), ("b", "h:2")]);
        assert!(refusal(both).contains("members"));
    }

    #[test]
    fn discovery_takes_a_name_a_number_and_no_list() {
        let open = || {
            let config = Config::new("d").listen("127.0.0.1:0").insecure(Insecure::Loopback);
            config.bootstrap_expect(3).discover_dns("nodes.example:7001")
        };
        let discovery = open().check().unwrap().discovery.unwrap();
        assert_eq!((discovery.expect, &*discovery.dns), (3, "nodes.example:7001"));
        assert!(refusal(open().bootstrap_expect(0)).contains("bootstrap_expect"));
        assert!(refusal(open().discover_dns("nodes")).contains("host:port"));
        assert!(refusal(open().join(["h:1"])).contains("discover_dns"));
        assert!(refusal(open().members([("node", "h:1"), ("b", "h:2")])).contains("members"));
        assert!(refusal(Config::new("d").bootstrap_expect(3)).contains("discover_dns"));
        assert!(refusal(Config::new("d").discover_dns("h:1")).contains("bootstrap_expect"));
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
            ("auto_promote", "false"),
            ("join", ""),
            ("cluster_secret", SECRET),
            ("heartbeat_interval", "100ms"),
            ("election_timeout", "1s"),
            ("request_timeout", "2s"),
            ("consistency", "local"),
            ("max_value_bytes", "1MiB"),
            ("storage_limit_bytes", "1000000"),
            ("checkpoint_interval", "500ms"),
            ("snapshot_bytes_per_second", "16MiB"),
        ];
        let mut config = Config::new("x");
        for (name, value) in values {
            config.set(name, value).unwrap();
        }
        let checked = config.check().unwrap();
        assert_eq!(checked.settings.max_value_bytes, 1 << 20);
        assert_eq!(checked.settings.election_timeout_ms, 1000);
        assert_eq!(checked.snapshot_bytes_per_second, 16 << 20);
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
    fn snapshots_are_not_sent_for_ever() {
        assert!(Config::new("d").snapshot_bytes_per_second(1 << 20).check().is_ok());
        let text = refusal(Config::new("d").snapshot_bytes_per_second((1 << 20) - 1));
        assert!(text.contains("snapshot_bytes_per_second"), "{text}");
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let text = format!("{:?}", Config::new("d").cluster_secret(SECRET));
        assert!(!text.contains(SECRET), "{text}");
    }
}
