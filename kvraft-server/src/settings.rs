//! `Settings` is what a server was told, checked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use axum::http::Uri;
use kvraft::{Config, Consistency};

use crate::given::Given;
pub(crate) use crate::http_settings::FollowerMode;
use crate::http_settings::{self, HttpSettings};
use crate::layers::{self, Layer};
use crate::traces;

/// The setting that names the file with further settings; the only one that cannot stand in it.
pub(crate) const CONFIG: &str = "config";

/// Where a collector takes traces, below its endpoint.
const TRACES_PATH: &str = "/v1/traces";

/// Where the data is unless it is said.
const DEFAULT_DATA_DIR: &str = "./kvraft-data";

/// What is logged by default: the consensus library tells its whole state at "info".
const DEFAULT_LOG: &str = "info,openraft=warn";

/// The settings that only a server has, beside those of HTTP: name, and what it means.
const SERVER_SETTINGS: [(&str, &str); 6] = [
    (
        "log",
        "What to log, such as info,kvraft=debug; read again at SIGHUP [default: info,openraft=warn]",
    ),
    ("log_format", "text or json [default: text]"),
    (
        "otlp_endpoint",
        "http:// URL of an OpenTelemetry collector that takes the traces of requests (OTLP, JSON)",
    ),
    (
        "otlp_sample_ratio",
        "Part of the requests that are traced of those whose traceparent does not say it [default: 1]",
    ),
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
    /// Absent unless somebody collects traces.
    pub(crate) traces: Option<traces::Options>,
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
        Self::from_given(Self::given(flags)?)
    }

    /// What all sources say, as it stands there.
    pub(crate) fn given(flags: Layer) -> Result<Given> {
        let variables = |name: &str| std::env::var_os(name);
        let environment = layers::from_environment(names().chain([CONFIG]), variables)?;
        let mut given = Given::default();
        given.below(flags, |name| format!("--{}", name.replace('_', "-")));
        given.below(environment, |name| {
            format!("{}{}", layers::VARIABLE_PREFIX, name.to_uppercase())
        });
        given.below(layers::from_aliases(variables)?, |name| layers::alias_of(name).to_owned());
        if let Some(path) = given.take(CONFIG, |_, path| Ok(path.to_owned())) {
            let known: Vec<_> = names().collect();
            given.below(layers::from_file(Path::new(&path), &known)?, |_| path.clone());
        }
        Ok(given)
    }

    /// Fails with everything that is wrong.
    pub(crate) fn from_given(mut given: Given) -> Result<Self> {
        let http = HttpSettings::take(&mut given);
        let log = Self::log(&given);
        let log_format = given.take("log_format", log_format).unwrap_or(LogFormat::Text);
        let stop_with_stdin = given.take("stop_with_stdin", switch).unwrap_or(false);
        let rejoin = given.take("rejoin", switch).unwrap_or(false);
        let data_dir = given.values("data_dir").last().map_or(DEFAULT_DATA_DIR, String::as_str);
        let data_dir = PathBuf::from(data_dir);
        let consistency = consistency(&given);
        let name = given.values("name").last().cloned();
        let traces = traces(&mut given, name);
        given.take("log", |_, _| Ok(()));
        let config = core(&mut given);
        given.check()?;
        Ok(Self {
            config,
            http,
            consistency,
            log,
            log_format,
            stop_with_stdin,
            traces,
            rejoin,
            data_dir,
        })
    }

    /// What is to be logged.
    pub(crate) fn log(given: &Given) -> String {
        given.values("log").last().map_or(DEFAULT_LOG, String::as_str).trim().to_owned()
    }
}

/// Whether several values of a setting are all meant: secrets are exchanged under load.
pub(crate) fn adds_up(name: &str) -> bool {
    name.starts_with("cluster_secret")
}

/// Hands what is left to the core, which knows its own settings.
fn core(given: &mut Given) -> Config {
    let mut config = Config::new(DEFAULT_DATA_DIR);
    for (name, values) in given.rest() {
        // A setting that was given twice has its last value.
        let first = if adds_up(&name) { 0 } else { values.len().saturating_sub(1) };
        for value in values.iter().skip(first) {
            if let Err(error) = config.set(&name, value) {
                given.fault(error);
            }
        }
    }
    // What is missing may be what could not be read.
    if given.is_faultless()
        && let Err(error) = config.validate()
    {
        given.fault(error);
    }
    config
}

/// What is left to the core, looked at; it is the core that says what is wrong with it.
fn consistency(given: &Given) -> Consistency {
    let text = given.values("consistency").last();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

fn traces(given: &mut Given, name: Option<String>) -> Option<traces::Options> {
    let ratio = given.take("otlp_sample_ratio", ratio).unwrap_or(1.0);
    let url = given.take("otlp_endpoint", collector)?;
    Some(traces::Options { url, ratio, name: name.unwrap_or_else(|| "node".to_owned()) })
}

/// The value is not shown: a URL may have a password in it.
fn collector(name: &str, text: &str) -> Result<String> {
    let url: Uri = text.parse().map_err(|_| anyhow!("{name} is not a URL"))?;
    ensure!(
        url.scheme_str() == Some("http"),
        "{name} has to begin with http:// and to name a collector beside this node, which may speak TLS further on"
    );
    ensure!(!text.contains('@'), "{name} has a password in it, which would be sent in clear text");
    let base = text.trim_end_matches('/');
    Ok(if base.ends_with(TRACES_PATH) { base.to_owned() } else { format!("{base}{TRACES_PATH}") })
}

fn ratio(name: &str, text: &str) -> Result<f64> {
    let ratio = text.parse().with_context(|| format!("{name} {text:?} is not a number"))?;
    ensure!((0.0..=1.0).contains(&ratio), "{name} {text} is not from 0 to 1");
    Ok(ratio)
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
        Settings::from_given(Given::of(pairs))
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
            ("otlp_sample_ratio", "1.5"),
        ];
        for (name, value) in wrong {
            let text = settings(&[(name, value)]).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let wrong = [("listen_http", "x"), ("log_format", "xml"), ("request_timeout", "5")];
        let text = settings(&wrong).unwrap_err().to_string();
        assert!(text.starts_with("3 settings are wrong:\n"), "{text}");
        assert!(wrong.iter().all(|(name, _)| text.contains(name)), "{text}");
    }

    #[test]
    fn a_collector_is_plain_http_and_its_password_is_not_told() {
        let url = |text| settings(&[("otlp_endpoint", text)]).map(|all| all.traces.unwrap().url);
        for text in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
            assert_eq!(url(text).unwrap(), "http://c:4318/v1/traces");
        }
        for text in ["https://c:4318", "http://a:hunter2@c:4318", "hunter2", "http://hunter2 "] {
            let told = format!("{:?}", url(text).map(|url| url.len()));
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert!(settings(&[]).unwrap().traces.is_none());
    }

    /// A setting says the same wherever it stands; values are such that every setting takes them.
    #[test]
    fn a_file_flags_and_the_environment_are_equals() {
        for name in names() {
            let pair = (name.to_owned(), vec!["true".to_owned()]);
            let wanted: Layer = [pair].into();
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), format!("{name} = \"true\"\n")).unwrap();
            assert_eq!(layers::from_file(file.path(), &[name]).unwrap(), wanted);
            let variable = format!("KVRAFT_{}", name.to_uppercase());
            let variables = |asked: &str| (asked == variable).then(|| "true".into());
            assert_eq!(layers::from_environment(names(), variables).unwrap(), wanted);
            let flag = format!("--{}=true", name.replace('_', "-"));
            assert_eq!(crate::args::served(["kvraft-server".into(), flag.into()]), wanted);
        }
    }

    #[test]
    fn the_values_of_the_chart_are_settings_in_camel_case() {
        let schema = include_str!("../../charts/kvraft/values.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let values = schema["properties"]["config"]["properties"].as_object().unwrap();
        assert!(values.len() > 5);
        for camel in values.keys() {
            let snake = |letter: char| match letter.is_ascii_uppercase() {
                true => format!("_{}", letter.to_ascii_lowercase()),
                false => letter.to_string(),
            };
            let name: String = camel.chars().map(snake).collect();
            assert!(names().any(|known| known == name), "{camel}");
        }
    }

    #[test]
    fn the_example_of_a_file_has_every_setting_and_is_one() {
        let text = include_str!("../../deploy/kvraft.toml");
        let names: Vec<_> = names().collect();
        for name in &names {
            let shown = text
                .lines()
                .filter(|line| line.trim_start_matches("# ").split(" = ").next() == Some(name));
            assert_eq!(shown.count(), 1, "{name}");
        }
        let on = |line: &str| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") => format!("{setting}\n"),
            _ => format!("{line}\n"),
        };
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [text.to_owned(), text.lines().map(on).collect()] {
            std::fs::write(file.path(), text).unwrap();
            layers::from_file(file.path(), &names).unwrap();
        }
    }

    #[test]
    fn every_setting_says_what_it_means() {
        for name in names() {
            assert_ne!(help(name), "A setting of the node", "{name}");
        }
    }
}
