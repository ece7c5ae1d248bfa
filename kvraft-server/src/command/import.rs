//! `import` puts entries from lines of JSON, or from files below a directory.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::out::{self, Out, shown};
use super::progress::Progress;
use super::range;
use super::source::{Item, Source};
use super::tell;
use crate::client::{Client, Failure, Payload, Request, failure_of, segment};

/// So many entries go in one transaction at most, and so many bytes. A larger value goes alone.
const BATCH: usize = 500;
const BATCH_BYTES: u64 = 1 << 20;
const ALONE: u64 = 256 << 10;

pub(super) fn command() -> Command {
    Command::new("import")
        .about("Put entries from lines of JSON (NDJSON), or from the files below a directory")
        .after_help(
            "A line is {\"key\": \"k\", \"body\": \"v\"}, with key_base64 and body_base64 for what \
             is no text, and with \"ttl\": \"1h\" if the key is to go away; `export` writes such \
             lines. Entries are put in their order, so that the last one of a key counts. If it \
             fails, it says with which --skip to go on.",
        )
        .arg(
            Arg::new("from")
                .value_name("FILE|DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value("-")
                .help("Where the entries are; - reads lines from the standard input"),
        )
        .arg(
            Arg::new("prefix")
                .long("prefix")
                .value_name("PREFIX")
                .value_parser(value_parser!(std::ffi::OsString))
                .help("Put this before each key"),
        )
        .arg(range::base64_arg())
        .arg(
            Arg::new("skip")
                .long("skip")
                .value_name("COUNT")
                .value_parser(value_parser!(u64))
                .default_value("0")
                .help("Leave out so many entries at the beginning, which are there already"),
        )
}

/// What is under way.
struct Import<'a> {
    client: &'a Client,
    batch: Vec<(Item, Vec<u8>)>,
    /// A transaction takes each key once.
    keys: BTreeSet<Vec<u8>>,
    bytes: u64,
    /// How many entries are done, those that were left out too.
    done: u64,
    leased: u64,
    progress: Progress,
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let from = matches.get_one::<PathBuf>("from").context("no source")?;
    let prefix = range::bytes(matches, "prefix")?.unwrap_or_default();
    let skip = matches.get_one::<u64>("skip").copied().unwrap_or_default();
    let mut source = Source::open(from)?;
    for _ in 0..skip {
        source.next()?;
    }
    client.find_leader().await;
    let progress = Progress::entries("import", None);
    let mut import = Import {
        client,
        batch: Vec::new(),
        keys: BTreeSet::new(),
        bytes: 0,
        done: skip,
        leased: 0,
        progress,
    };
    if let Err(error) = import.all(&mut source, &prefix).await {
        let done = import.done;
        return Err(error.context(format!("{done} entries are in, go on with --skip {done}")));
    }
    let (done, leased) = (import.done - skip, import.leased);
    drop(import);
    if leased > 0 {
        tell(&format!("{leased} entries had a lease; they are in without one"))?;
    }
    out.say(&format!("imported {done} entries"), &json!({ "imported": done, "leased": leased }))
}

impl Import<'_> {
    async fn all(&mut self, source: &mut Source, prefix: &[u8]) -> Result<()> {
        while let Some(mut item) = source.next()? {
            self.leased += u64::from(item.leased);
            item.key = [prefix, &item.key].concat();
            let len = item.key.len() as u64 + item.value.len();
            let full = self.batch.len() == BATCH || self.bytes + len > BATCH_BYTES;
            if full || len > ALONE || self.keys.contains(&item.key) {
                self.flush().await?;
            }
            if len > ALONE {
                self.put(&item).await?;
                self.count(1);
                continue;
            }
            let mut value = Vec::new();
            let wrong = || format!("cannot read the value of {}", shown(&item.key));
            item.value.copy_to(&mut value).with_context(wrong)?;
            // The file of the value is closed: there may be many.
            item.value = Payload::Bytes(Vec::new().into());
            self.bytes += len;
            self.keys.insert(item.key.clone());
            self.batch.push((item, value));
        }
        self.flush().await
    }

    /// Puts what has gathered, in one transaction.
    async fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        self.keys.clear();
        if batch.is_empty() {
            return Ok(());
        }
        let operations: Vec<_> = batch.iter().map(operation).collect();
        let document = json!({ "then": operations }).to_string();
        let request = Request::write(Method::POST, "/txn", None)?;
        let request = request.payload(Payload::Bytes(document.into()));
        match self.client.json(&request).await {
            Ok(_) => {
                self.count(batch.len() as u64);
                Ok(())
            }
            // One of them will not do, or all are too much at once: which, each will say itself.
            Err(error) if failure_of(&error).is_some_and(is_of_size) => {
                for (mut item, value) in batch {
                    item.value = Payload::Bytes(value.into());
                    self.put(&item).await?;
                    self.count(1);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn put(&self, item: &Item) -> Result<()> {
        let path = format!("/key/{}", segment(&item.key));
        let request = Request::write(Method::PUT, path, None)?
            .maybe("ttl", item.ttl.as_ref())
            .payload(item.value.clone());
        let wrong = || format!("key {}", shown(&item.key));
        self.client.json(&request).await.with_context(wrong).map(drop)
    }

    fn count(&mut self, entries: u64) {
        self.done += entries;
        self.progress.add(entries);
    }
}

fn is_of_size(failure: &Failure) -> bool {
    matches!(failure.status, Some(400 | 413 | 507))
}

fn operation((item, value): &(Item, Vec<u8>)) -> Value {
    let mut fields = Map::new();
    fields.insert("op".to_owned(), "put".into());
    out::put(&mut fields, "key", &item.key);
    out::put(&mut fields, "body", value);
    if let Some(ttl) = &item.ttl {
        fields.insert("ttl".to_owned(), ttl.as_str().into());
    }
    fields.into()
}
