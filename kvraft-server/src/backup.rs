//! `backup` takes a backup from a node by HTTP, into a file that is whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::Value;
use ureq::{Agent, Body};

use crate::healthcheck::{agent, own_url};

/// How long one node may take: a little longer than the hour after which it breaks off.
const TIMEOUT: Duration = Duration::from_secs(61 * 60);
/// How long all attempts together may have failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause before all endpoints are tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// From where to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    urls: Vec<String>,
    output: PathBuf,
    consistency: String,
}

pub(crate) fn command() -> Command {
    Command::new("backup")
        .about("Take a backup of the whole map from a node, while writes go on")
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .required(true)
                .help("Write it here; the name appears only once the whole backup is verified"),
        )
        .arg(
            Arg::new("consistency")
                .long("consistency")
                .value_name("HOW")
                .value_parser(["linearizable", "lease", "local"])
                .default_value("linearizable")
                .help("local also works on a node without a majority, and may be behind"),
        )
}

pub(crate) fn options(matches: &ArgMatches, urls: Vec<String>) -> Options {
    Options {
        urls,
        output: matches.get_one("output").cloned().unwrap_or_default(),
        consistency: matches.get_one("consistency").cloned().unwrap_or_default(),
    }
}

/// Asks one node after the other until one has given the whole.
pub(crate) fn run(options: Options) -> Result<()> {
    let Options { mut urls, output, consistency } = options;
    if urls.is_empty() {
        urls.push(own_url(&["KVRAFT_LISTEN_HTTP"])?);
    }
    let agent = agent(TIMEOUT)?;
    let begun = Instant::now();
    loop {
        let mut failures = Vec::new();
        for base in &urls {
            let url = format!("{}/backup?consistency={consistency}", base.trim_end_matches('/'));
            match ask(&agent, &url)? {
                Ok(body) => match keep(body, &output)? {
                    Ok(told) => {
                        return writeln!(io::stdout(), "{told}").context("cannot write");
                    }
                    Err(failure) => failures.push(format!("{base}: {failure}")),
                },
                Err(failure) => failures.push(format!("{base}: {failure}")),
            }
        }
        if begun.elapsed() >= PATIENCE {
            bail!("gave up after {} s: {}", begun.elapsed().as_secs(), failures.join("; "));
        }
        std::thread::park_timeout(PAUSE);
    }
}

/// Asks one node. The outer error is final, the inner one may pass at another node or later.
fn ask(agent: &Agent, url: &str) -> Result<Result<Body, String>> {
    let answer = match agent.get(url).call() {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(format!("does not answer: {error}"))),
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(Ok(answer.into_body()));
    }
    let text = answer.into_body().read_to_string().unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let said = document.get("detail").and_then(Value::as_str).unwrap_or(&text).to_owned();
    if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
        return Ok(Err(format!("answered {status}: {said}")));
    }
    bail!("{url} answered {status}: {said}")
}

/// Writes a backup beside its file, checks it, and only then gives it its name. The inner error
/// is one of the node or of the way.
fn keep(body: Body, output: &Path) -> Result<Result<String, String>> {
    let mut part = output.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let mut file =
        File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let told = match copy(body, &mut file) {
        Ok(()) => {
            file.sync_all().with_context(|| format!("cannot flush {}", part.display()))?;
            check(&part)?
        }
        Err(Broke::Off(error)) => Err(format!("the backup broke off: {error}")),
        Err(Broke::Disk(error)) => {
            drop(fs::remove_file(&part));
            return Err(error).with_context(|| format!("cannot write {}", part.display()));
        }
    };
    if told.is_err() {
        fs::remove_file(&part).with_context(|| format!("cannot remove {}", part.display()))?;
        return Ok(told);
    }
    fs::rename(&part, output).with_context(|| format!("cannot name {}", output.display()))?;
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .with_context(|| format!("cannot flush {}", parent.display()))?;
    Ok(told.map(|told| format!("{}: {told}", output.display())))
}

enum Broke {
    Off(io::Error),
    Disk(io::Error),
}

fn copy(body: Body, file: &mut File) -> Result<(), Broke> {
    use std::io::Read as _;
    let mut reader = body.into_reader();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Broke::Off(error)),
        };
        file.write_all(buffer.get(..read).unwrap_or_default()).map_err(Broke::Disk)?;
    }
}

fn check(part: &Path) -> Result<Result<String, String>> {
    let verified = match kvraft::verify_backup(part) {
        Ok(verified) => verified,
        Err(error) if error.kind() == kvraft::ErrorKind::Refused => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error).context("cannot read back what was written"),
    };
    if let Some(first) = verified.damage.first() {
        return Ok(Err(format!("what came is damaged: {first}")));
    }
    let counts = verified.counts.iter().map(|(name, count)| format!("{name} {count}"));
    Ok(Ok(counts.collect::<Vec<_>>().join(", ")))
}
