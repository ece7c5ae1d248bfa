//! `Settings` is what a server was told, checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kvraft::{Config, Consistency};

pub(crate) use crate::http_settings::FollowerMode;
use crate::http_settings::{self, HttpSettings};
use crate::layers::{self, Layer};

/// The setting that names the file with further settings; the only one that cannot stand in it.
pub(crate) const CONFIG: &str = "config";

/// Where the data is unless it is said.
const DEFAULT_DATA_DIR: &str = "./kvraft-data";

/// What is logged by default: the consensus library tells its whole state at "info".
const DEFAULT_LOG: &str = "info,openraft=warn";

/// The settings that only a server has, beside those of HTTP: name, and what it means.
const SERVER_SETTINGS: [(&str, &str); 4] = [
    ("log", "What to log, such as info,kvraft=debug [default: info,openraft=warn]"),
    ("log_format", "text or json [default: text]"),
    (
        "stop_with_stdin",
        "Stop when the standard input ends: when the process at its other end dies",
    ),
    (
        "rejoin",
        "If this node was removed from its cluster before it starts, move its data directory aside and join anew",
    ),
];

/// What a setting of the core means, for `--help`.
const CORE_HELP: [(&str, &str); 25] = [
    ("data_dir", "Directory of this node's data; made if needed [default: ./kvraft-data]"),
    ("name", "Stable word for this node, shown as leaderID while it leads [default: node]"),
    ("listen", "UDP address for the other nodes, ip:port; without it this node is alone"),
    ("advertise", "host:port that the other nodes dial [default: its address in members]"),
    ("advertise_http", "Base URL that clients may be sent to"),
    ("labels", "key=value,… that the member record carries, such as a zone"),
    ("members", "name=host:port,… of the nodes that found the cluster, this one included"),
    ("join", "host:port,… of members of a cluster that this node joins instead of founding one"),
    ("auto_promote", "Whether this node, once it has joined and caught up, votes [default: true]"),
    ("bootstrap_expect", "How many nodes at discover_dns found the cluster, instead of members"),
    ("discover_dns", "host:port whose name stands for the addresses of all nodes"),
    ("cluster_secret", "Secret that all nodes share, at least 32 bytes; prefer the file"),
    ("cluster_secret_file", "File with the secret; repeat it to exchange secrets under load"),
    ("tls_ca", "PEM file of the certificate authority that the nodes trust"),
    ("tls_cert", "PEM file of this node's certificate"),
    ("tls_key", "PEM file of this node's key"),
    ("insecure", "No protection between nodes; on loopback, or =anywhere"),
    (
        "consistency",
        "linearizable, lease or local: reads that do not say it [default: linearizable]",
    ),
    ("heartbeat_interval", "How often a leader shows that it lives [default: 50ms]"),
    ("election_timeout", "Shortest silence of a leader before an election [default: 200ms]"),
    ("request_timeout", "Deadline of requests that do not set one [default: 5s]"),
    ("checkpoint_interval", "How often applied changes move into the state file [default: 1s]"),
    ("max_value_bytes", "Largest value [default: 4MiB]"),
    ("storage_limit_bytes", "Bytes that all keys and values may have together [default: 8GiB]"),
    (
        "snapshot_bytes_per_second",
        "Bytes of snapshots that this node sends in a second, to all others [default: 64MiB]",
    ),
];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Everything that `serve` needs to know.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) http: HttpSettings,
    /// How fresh reads are that do not say it: `config` has it too, and does not tell.
    pub(crate) consistency: Consistency,
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) stop_with_stdin: bool,
    /// Whether a node that was removed before it starts begins anew.
    pub(crate) rejoin: bool,
    /// `config` has it too, and does not tell.
    pub(crate) data_dir: PathBuf,
}

/// The names of all settings, the core's first.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let server = http_settings::HELP.into_iter().chain(SERVER_SETTINGS);
    Config::NAMES.into_iter().chain(server.map(|(name, _)| name))
}

/// What a setting means; a setting that the core has gained since has no text yet.
pub(crate) fn help(name: &str) -> &'static str {
    let mut all = CORE_HELP.iter().chain(&http_settings::HELP).chain(&SERVER_SETTINGS);
    all.find(|(known, _)| *known == name).map_or("A setting of the node", |(_, help)| help)
}

/// Whether the bare flag means true.
pub(crate) fn is_switch(name: &str) -> bool {
    matches!(name, "insecure" | "insecure_http" | "stop_with_stdin" | "rejoin")
}

impl Settings {
    /// Takes the flags over the environment over the file that one of both names.
    pub(crate) fn gather(flags: Layer) -> Result<Self> {
        let names = names().chain([CONFIG]);
        let environment = layers::from_environment(names, |name| std::env::var_os(name))?;
        let mut given = layers::over(flags, environment);
        if let Some(path) = given.remove(CONFIG).as_deref().and_then(<[String]>::last) {
            let known: Vec<_> = self::names().collect();
            given = layers::over(given, layers::from_file(Path::new(path), &known)?);
        }
        Self::from_layer(given)
    }

    fn from_layer(mut given: Layer) -> Result<Self> {
        let settings = Self {
            http: HttpSettings::take(&mut given)?,
            consistency: consistency(&given)?,
            log: take(&mut given, "log", |_, text| Ok(text.to_owned()))?
                .unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            log_format: take(&mut given, "log_format", log_format)?.unwrap_or(LogFormat::Text),
            stop_with_stdin: take(&mut given, "stop_with_stdin", switch)?.unwrap_or(false),
            rejoin: take(&mut given, "rejoin", switch)?.unwrap_or(false),
            data_dir: last(&given, "data_dir").unwrap_or(DEFAULT_DATA_DIR).into(),
            config: Config::new(DEFAULT_DATA_DIR),
        };
        Ok(Self { config: core(settings.config, given)?, ..settings })
    }
}

/// Hands what is left to the core, which knows its own settings.
fn core(mut config: Config, given: Layer) -> Result<Config> {
    for (name, values) in given {
        // A setting that was given twice has its last value; only secrets add up.
        let first = if name.starts_with("cluster_secret") { 0 } else { values.len() - 1 };
        for value in values.iter().skip(first) {
            config.set(&name, value)?;
        }
    }
    Ok(config)
}

/// What is left to the core, looked at.
fn last<'a>(given: &'a Layer, name: &str) -> Option<&'a str> {
    given.get(name).and_then(|values| values.last()).map(String::as_str)
}

fn consistency(given: &Layer) -> Result<Consistency> {
    Ok(last(given, "consistency").map(|text| text.trim().parse()).transpose()?.unwrap_or_default())
}

pub(crate) fn take<T>(
    given: &mut Layer,
    name: &str,
    parse: impl Fn(&str, &str) -> Result<T>,
) -> Result<Option<T>> {
    let values = given.remove(name).unwrap_or_default();
    values.last().map(|text| parse(name, text.trim())).transpose()
}

pub(crate) fn address(name: &str, text: &str) -> Result<SocketAddr> {
    text.parse()
        .with_context(|| format!("{name} {text:?} is not ip:port; take for example 127.0.0.1:8080"))
}

pub(crate) fn duration(name: &str, text: &str) -> Result<Duration> {
    humantime::parse_duration(text)
        .with_context(|| format!("{name} {text:?} is not a duration such as 500ms or 10s"))
}

pub(crate) fn switch(name: &str, text: &str) -> Result<bool> {
    text.parse().with_context(|| format!("{name} {text:?} is neither true nor false"))
}

fn log_format(name: &str, text: &str) -> Result<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => bail!("{name} {text:?} is neither text nor json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings> {
        let given = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
            .collect();
        Settings::from_layer(given)
    }

    #[test]
    fn a_wrong_value_names_its_setting() {
        let wrong = [
            ("listen_http", "8080"),
            ("listen_health", "x"),
            ("insecure_http", "yes"),
            ("log_format", "xml"),
            ("shutdown_grace", "10"),
            ("consistency", "none"),
            ("request_timeout", "5"),
        ];
        for (name, value) in wrong {
            let text = settings(&[(name, value)]).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn every_setting_says_what_it_means() {
        for name in names() {
            assert_ne!(help(name), "A setting of the node", "{name}");
        }
    }
}
