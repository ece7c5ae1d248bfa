//! `get`, `put` and `delete`: one key, or a range that goes at once.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Arg, ArgGroup, ArgMatches, Command, value_parser};
use hyper::Method;
use hyper::header::{ACCEPT, IF_MATCH, IF_NONE_MATCH};
use serde_json::{Value, json};

use super::out::{Out, shown};
use super::part::Part;
use super::range::{self, Range};
use super::{consistency_args, read_options, switch};
use crate::client::{Answer, Broke, Client, Failure, Payload, Request, Spool, segment};

pub(super) fn commands() -> [Command; 3] {
    [get_command(), put_command(), delete_command()]
}

fn get_command() -> Command {
    Command::new("get")
        .about("Write the value of a key to the standard output, byte by byte")
        .arg(range::key_arg().required(true))
        .arg(range::base64_arg())
        .args(consistency_args())
        .arg(
            Arg::new("output")
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write it to this file, which appears once it is whole"),
        )
}

fn put_command() -> Command {
    Command::new("put")
            .about("Give a key a value")
            .override_usage("kvraft-server put [OPTIONS] <KEY> <VALUE|-|--file <FILE>>")
            .after_help(
                "A write carries an idempotency key and is applied once, however often it has to be \
                 sent. What is read from a pipe is kept until the node has answered: up to 1 MiB in \
                 memory, more in a file without a name.",
            )
            .arg(range::key_arg().required(true))
            .arg(
                Arg::new("value")
                    .value_name("VALUE")
                    .value_parser(value_parser!(OsString))
                    .allow_hyphen_values(true)
                    .help("The value; - reads it from the standard input"),
            )
            .arg(
                Arg::new("file")
                    .long("file")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .help("Take the value from this file"),
            )
            .group(ArgGroup::new("what").args(["value", "file"]).required(true))
            .arg(
                Arg::new("ttl")
                    .long("ttl")
                    .value_name("DURATION")
                    .conflicts_with("lease")
                    .help("The key goes away this long after this put"),
            )
            .arg(
                Arg::new("lease")
                    .long("lease")
                    .value_name("ID")
                    .help("The key goes away with this lease"),
            )
            .args(condition_args())
            .arg(range::base64_arg())
}

fn delete_command() -> Command {
    Command::new("delete")
            .about("Take a key away, or all keys of a range at once")
            .override_usage("kvraft-server delete [OPTIONS] <KEY|--prefix <PREFIX>|--start <KEY>|--end <KEY>|--all>")
            .arg(range::key_arg())
            .args(Range::args())
            .arg(
                switch("all", "Take the whole map away"),
            )
            .args(condition_args())
            .group(
                ArgGroup::new("which")
                    .args(["key", "prefix", "start", "end", "all"])
                    .multiple(true)
                    .required(true),
            )
}

fn condition_args() -> [Arg; 4] {
    let one = |name, help| switch(name, help).group("condition");
    [
        Arg::new("if-revision")
            .long("if-revision")
            .value_name("REVISION")
            .value_parser(value_parser!(u64))
            .help("Only if the key is at this revision")
            .group("condition"),
        one("if-absent", "Only if there is no such key"),
        one("if-present", "Only if there is such a key"),
        Arg::new("idempotency-key")
            .long("idempotency-key")
            .value_name("ID")
            .help("Apply this once within an hour, whoever sends it again [default: a fresh one]"),
    ]
}

/// Adds what limits a write.
fn conditional(request: Request, matches: &ArgMatches) -> Result<Request> {
    if let Some(revision) = matches.get_one::<u64>("if-revision") {
        return request.header(IF_MATCH, format!("\"{revision}\""));
    }
    if matches.get_flag("if-present") {
        return request.header(IF_MATCH, "*");
    }
    if matches.get_flag("if-absent") {
        return request.header(IF_NONE_MATCH, "*");
    }
    Ok(request)
}

fn path(key: &[u8]) -> String {
    format!("/key/{}", segment(key))
}

pub(super) async fn get(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let request = read_options(Request::get(path(&range::key(matches)?)), matches);
    if out.json {
        return out.document(&client.json(&request).await?);
    }
    let request = request.header(ACCEPT, "application/octet-stream")?;
    let value = client.send(&request, spooled).await?;
    match matches.get_one::<PathBuf>("output") {
        None => value.copy_to(out.writer()).context("cannot write"),
        Some(file) => {
            let mut part = Part::create(file)?;
            value
                .copy_to(part.file())
                .with_context(|| format!("cannot write {}", file.display()))?;
            part.keep()
        }
    }
}

/// Keeps a value until all of it has come: half a value is none.
async fn spooled(mut answer: Answer) -> Result<Payload, Broke> {
    let mut spool = Spool::default();
    while let Some(bytes) = answer.chunk().await? {
        spool.push(&bytes)?;
    }
    Ok(spool.finish()?)
}

pub(super) async fn put(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let key = range::key(matches)?;
    let id = matches.get_one::<String>("idempotency-key").map(String::as_str);
    let request = Request::write(Method::PUT, path(&key), id)
        .map_err(|error| Failure::usage(format!("{error:#}")))?
        .maybe("ttl", matches.get_one::<String>("ttl"))
        .maybe("lease", matches.get_one::<String>("lease"))
        .payload(value(matches)?);
    let request = conditional(request, matches)?;
    let (created, mut document) = client
        .send(&request, async |answer: Answer| Ok((answer.status() == 201, answer.json().await?)))
        .await?;
    if let Some(fields) = document.as_object_mut() {
        fields.insert("replaced".to_owned(), (!created).into());
    }
    let revision = document.get("revision").and_then(Value::as_u64).unwrap_or_default();
    let what = if created { "created" } else { "replaced" };
    out.say(&format!("{what} at revision {revision}"), &document)
}

fn value(matches: &ArgMatches) -> Result<Payload> {
    if let Some(file) = matches.get_one::<PathBuf>("file") {
        let wrong = || format!("cannot read {}", file.display());
        return Payload::file(File::open(file).with_context(wrong)?).with_context(wrong);
    }
    match matches.get_one::<OsString>("value") {
        Some(value) if value != "-" => Ok(Payload::Bytes(value.clone().into_vec().into())),
        _ => Payload::pipe(io::stdin().lock()),
    }
}

pub(super) async fn delete(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let id = matches.get_one::<String>("idempotency-key").map(String::as_str);
    let range = Range::read(matches)?;
    let all = matches.get_flag("all");
    let Some(key) = range::bytes(matches, "key")? else {
        let conditions = ["if-revision", "if-absent", "if-present"];
        if matches.contains_id("condition") && conditions.iter().any(|name| set(matches, name)) {
            return Err(Failure::usage("a condition is of one key, and not of a range"));
        }
        if all && !range.is_all() {
            return Err(Failure::usage("--all is the whole map; leave the range out, or --all"));
        }
        let request = Request::write(Method::DELETE, "/keys", id)?.switch("all", all);
        let document = client.json(&range.of(request)).await?;
        let count = document.get("deleted").and_then(Value::as_u64).unwrap_or_default();
        return out.say(&format!("deleted {count} keys"), &document);
    };
    if all || !range.is_all() {
        return Err(Failure::usage("give a key or a range, and not both"));
    }
    let request = conditional(Request::write(Method::DELETE, path(&key), id)?, matches)?;
    let revision = client
        .send(&request, async |answer: Answer| {
            Ok(answer.header("kvraft-revision").and_then(|revision| revision.parse::<u64>().ok()))
        })
        .await?;
    let said = format!("deleted {} at revision {}", shown(&key), revision.unwrap_or_default());
    out.say(&said, &json!({ "deleted": 1, "revision": revision }))
}

fn set(matches: &ArgMatches, name: &str) -> bool {
    matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine)
}
