//! `txn` applies a transaction, as `POST /txn` takes it.

use std::ffi::OsString;
use std::fs::File;
use std::io;

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::Method;
use serde_json::Value;

use super::out::Out;
use crate::client::{Client, Failure, Payload, Request};

pub(super) fn command() -> Command {
    Command::new("txn")
        .about("Compare, and do one list of operations or another, all at once")
        .after_help(
            "The document is that of POST /txn: {\"compares\": […], \"then\": […], \"else\": […]}. \
             The answer is printed as JSON. The exit code is 1 if the comparisons do not hold, when \
             what stands under `else` was done.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(OsString))
                .default_value("-")
                .help("The file with the document; - reads it from the standard input"),
        )
        .arg(
            Arg::new("idempotency-key")
                .long("idempotency-key")
                .value_name("ID")
                .help("Apply this once within an hour, whoever sends it again"),
        )
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let file = matches.get_one::<OsString>("file").filter(|file| *file != "-");
    let document = match file {
        None => Payload::pipe(io::stdin().lock())?,
        Some(file) => {
            let wrong = || format!("cannot read {}", file.display());
            Payload::file(File::open(file).with_context(wrong)?).with_context(wrong)?
        }
    };
    let id = matches.get_one::<String>("idempotency-key").map(String::as_str);
    let request = Request::write(Method::POST, "/txn", id)?.payload(document);
    let done = client.json(&request).await?;
    out.document(&done)?;
    if done.get("succeeded").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    out.flush()?;
    Err(Failure::no("the comparisons do not hold; what stands under else was done"))
}
