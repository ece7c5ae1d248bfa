//! `status` asks each node what it says of itself; `healthcheck`, whether it lives.

use anyhow::{Result, bail};
use clap::{ArgMatches, Command};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::out::{Out, shown};
use super::switch;
use crate::client::{Base, Client, Failure, Kind, Request};

pub(super) fn command() -> Command {
    Command::new("status")
        .about("Ask each node what it says of itself")
        .after_help("The exit code is 3 if a node did not answer; each is asked once.")
        .arg(switch("all", "Ask the members too whose addresses the nodes tell"))
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    if matches.get_flag("all") {
        client.find_leader().await;
    }
    let request = Request::get("/status");
    let (bases, asked) = (client.known(), &request);
    let ask = async |base: &Base| (base.clone(), client.ask_one(base, asked).await);
    let answers = join_all(bases.iter().map(ask)).await;
    if !out.json {
        out.line(&format!(
            "{:<28} {:<12} {:<9} {:>6} {:>10} {:>10} {:>10} READY",
            "URL", "NAME", "ROLE", "TERM", "APPLIED", "REVISION", "KEYS"
        ))?;
    }
    let mut silent = Vec::new();
    for (base, answer) in answers {
        let status = answer.and_then(|text| {
            serde_json::from_slice::<Value>(&text).map_err(|error| error.to_string())
        });
        match status {
            Ok(status) if out.json => {
                out.document(&json!({ "url": base.as_str(), "status": status }))?;
            }
            Ok(status) => out.line(&row(&base, &status))?,
            Err(why) => {
                if out.json {
                    out.document(&json!({ "url": base.as_str(), "failure": why }))?;
                }
                silent.push(format!("{base} {why}"));
            }
        }
    }
    if silent.is_empty() {
        return Ok(());
    }
    out.flush()?;
    Err(Failure::new(Kind::Unavailable, silent.join("; ")).into())
}

fn row(base: &Base, status: &Value) -> String {
    let text = |name| shown(status.get(name).and_then(Value::as_str).unwrap_or("-").as_bytes());
    let number = |name| status.get(name).and_then(Value::as_u64).unwrap_or_default();
    let ready = status.get("ready").and_then(Value::as_bool).unwrap_or_default();
    format!(
        "{:<28} {:<12} {:<9} {:>6} {:>10} {:>10} {:>10} {}",
        base.as_str(),
        text("name"),
        text("role"),
        number("term"),
        number("applied"),
        number("revision"),
        number("keys"),
        if ready { "yes" } else { "no" },
    )
}

pub(super) fn healthcheck_command() -> Command {
    Command::new("healthcheck").about("Ask nodes whether they live; exit with 0 or 1").after_help(
        "Without --url it asks the node of the same environment: where KVRAFT_LISTEN_HEALTH, \
             else KVRAFT_LISTEN_HTTP says that it listens.",
    )
}

/// Whether all these nodes live; a node that takes long does not.
pub(super) async fn healthcheck(client: &Client) -> Result<()> {
    for base in client.known() {
        if let Err(why) = client.ask_one(&base, &Request::get("/livez")).await {
            bail!("{base}/livez {why}");
        }
    }
    Ok(())
}
