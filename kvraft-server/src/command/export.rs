//! `export` writes entries as lines of JSON, or as files below a directory.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::out::{self, Out};
use super::pages::Pages;
use super::progress::Progress;
use super::range::Range;
use super::sink::Sink;
use super::{consistency_args, snapshot, switch, tell};
use crate::client::{Client, Failure, Request};

pub(super) fn command() -> Command {
    Command::new("export")
        .about("Write entries as lines of JSON (NDJSON), or as files below a directory")
        .after_help(
            "A file gets its name once it is whole. An export that broke off goes on with --resume. \
             Its pages are each of one moment; --snapshot gives one moment for all, and cannot go \
             on. In a tree, a/b is the file b in the directory a, and what is no plain letter is \
             %XX: no key leads out of the directory.",
        )
        .arg(
            Arg::new("to")
                .value_name("FILE|DIR")
                .value_parser(value_parser!(PathBuf))
                .default_value("-")
                .help("Where to; - writes lines to the standard output"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["ndjson", "tree"])
                .help("Lines or files [default: tree if there is such a directory, else ndjson]"),
        )
        .args(Range::args())
        .args(consistency_args().into_iter().take(1))
        .arg(switch("strip-prefix", "Leave the prefix out of the keys").requires("prefix"))
        .arg(switch("resume", "Go on with an export that broke off"))
        .arg(
            switch("snapshot", "All of one moment").conflicts_with_all(["resume", "consistency"]),
        )
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let to = matches.get_one::<PathBuf>("to").context("nowhere to go")?.clone();
    let mut pages = Pages::read(matches)?;
    pages.values = true;
    let format = matches.get_one::<String>("format").map(String::as_str);
    let resume = matches.get_flag("resume");
    let stdout = to == Path::new("-");
    if stdout && (resume || format == Some("tree")) {
        return Err(Failure::usage("the standard output takes lines, and none of them twice"));
    }
    let stripped = match &pages.range.prefix {
        Some(prefix) if matches.get_flag("strip-prefix") => prefix.len(),
        _ => 0,
    };
    client.find_leader().await;
    let json = out.json;
    let tree = format == Some("tree") || (format.is_none() && to.is_dir());
    let (sink, last) = if stdout {
        (Sink::Lines(out), None)
    } else if tree {
        Sink::tree(&to, resume)?
    } else {
        Sink::file(&to, resume)?
    };
    let of = count(client, &pages.range).await;
    let progress = Progress::entries("export", of.filter(|_| last.is_none()));
    let mut export = Export { sink, stripped, count: 0, progress };
    let done = if matches.get_flag("snapshot") {
        export.snapshot(client, &pages.range).await
    } else {
        export.pages(client, pages, last).await
    };
    let count = export.count;
    if let Err(error) = done {
        return Err(error.context(export.sink.advice()));
    }
    export.sink.finish()?;
    drop(export.progress);
    if stdout {
        return Ok(());
    }
    let said = format!("exported {count} entries to {}", to.display());
    let document = json!({ "exported": count, "to": to.to_string_lossy() });
    Out::new(json).flushed(&said, &document)
}

/// How many there are, for the bar; it may change meanwhile, and matters to nobody else.
async fn count(client: &Client, range: &Range) -> Option<u64> {
    let request = range.of(Request::get("/keys").switch("count", true));
    client.json(&request).await.ok()?.get("count")?.as_u64()
}

struct Export<'a> {
    sink: Sink<'a>,
    /// How many bytes of each key are left out.
    stripped: usize,
    count: u64,
    progress: Progress,
}

impl Export<'_> {
    async fn pages(
        &mut self,
        client: &Client,
        mut pages: Pages,
        last: Option<Vec<u8>>,
    ) -> Result<()> {
        if let Some(last) = last {
            let prefix = pages.range.prefix.as_deref().unwrap_or_default();
            let whole = [prefix.get(..self.stripped).unwrap_or_default(), &last].concat();
            pages.after(&whole);
        }
        while let Some(entries) = pages.next(client, u64::MAX).await? {
            for entry in &entries {
                self.entry(entry)?;
            }
            if let Some(last) = entries.last() {
                let last = self.key(last)?;
                self.sink.reached(&last)?;
            }
        }
        pages.moved().map_or(Ok(()), |moved| tell(&moved))
    }

    async fn snapshot(&mut self, client: &Client, range: &Range) -> Result<()> {
        snapshot::read(client, range, |entry| self.entry(entry)).await.map(drop)
    }

    fn key(&self, entry: &Value) -> Result<Vec<u8>> {
        let key = out::key_of(entry)?;
        Ok(key.get(self.stripped..).unwrap_or_default().to_vec())
    }

    fn entry(&mut self, entry: &Value) -> Result<()> {
        let key = self.key(entry)?;
        if key.is_empty() {
            return Err(Failure::no(
                "a key is the prefix itself, and would have no name without it",
            ));
        }
        self.sink.entry(&key, entry)?;
        self.count += 1;
        self.progress.add(1);
        Ok(())
    }
}
