//! `backup` takes a backup from a node, into a file that is whole or not there.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::json;

use super::out::Out;
use super::part::Part;
use super::progress::Progress;
use crate::client::{Answer, Broke, Client, Request};

/// How long one node may take: a little longer than the hour after which it breaks off.
const PATIENCE: Duration = Duration::from_secs(61 * 60);
/// How long the next bytes may take: the node reads and checks what it sends.
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn command() -> Command {
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

/// Has one node after the other try until one has given the whole.
pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let output = matches.get_one::<PathBuf>("output").context("no --output")?;
    let request = Request::get("/backup")
        .maybe("consistency", matches.get_one::<String>("consistency"))
        .streamed(IDLE);
    let counts = client.send(&request, async |answer: Answer| keep(answer, output).await).await?;
    let told: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    let counts: serde_json::Map<_, _> =
        counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
    let document = json!({ "file": output.to_string_lossy(), "counts": counts });
    out.say(&format!("{}: {}", output.display(), told.join(", ")), &document)
}

/// Writes a backup beside its file, checks it, and only then gives it its name.
async fn keep(mut answer: Answer, output: &Path) -> Result<Vec<(String, u64)>, Broke> {
    let (begun, progress) = (Instant::now(), Progress::bytes("backup", answer.len()));
    let mut part = Part::create(output)?;
    while let Some(bytes) = answer.chunk().await? {
        if begun.elapsed() > PATIENCE {
            return Err(Broke::Off("did not end within an hour".to_owned()));
        }
        part.write(&bytes)?;
        progress.add(bytes.len() as u64);
    }
    part.flush()?;
    let counts = check(part.path())?;
    part.keep()?;
    Ok(counts)
}

fn check(part: &Path) -> Result<Vec<(String, u64)>, Broke> {
    let verified = match kvraft::verify_backup(part) {
        Ok(verified) => verified,
        Err(error) if error.kind() == kvraft::ErrorKind::Refused => {
            return Err(Broke::Off(error.to_string()));
        }
        Err(error) => {
            let error = anyhow::Error::from(error).context("cannot read back what was written");
            return Err(Broke::Finally(error));
        }
    };
    if let Some(first) = verified.damage.first() {
        return Err(Broke::Off(format!("what came is damaged: {first}")));
    }
    Ok(verified.counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
}
