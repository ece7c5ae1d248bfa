//! `list` tells keys in order, page by page or of one moment.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::out::{self, Out, shown};
use super::pages::Pages;
use super::range::Range;
use super::{consistency_args, read_options, snapshot, switch, tell};
use crate::client::{Client, Failure, Request};

pub(super) fn command() -> Command {
    Command::new("list")
        .about("List keys in order")
        .after_help(
            "Keys come page by page, and each page is of one moment: if the map changed between the \
             first page and the last, a line on the standard error says so. --snapshot gives one \
             moment however many there are, with their values over the wire. On a line for people, \
             control characters, backslashes and bytes that are no text are \\xNN; --null and \
             --json keep keys as they are.",
        )
        .args(Range::args())
        .args(consistency_args())
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_name("COUNT")
                .value_parser(value_parser!(u64).range(1..))
                .help("So many at most"),
        )
        .arg(switch("values", "The values too").conflicts_with("null"))
        .arg(switch("reverse", "The last keys first"))
        .arg(
            switch("count", "Only how many there are")
                .conflicts_with_all(["values", "reverse", "limit", "null", "snapshot"]),
        )
        .arg(switch("null", "End each key with a zero byte instead of a line").conflicts_with("json"))
        .arg(
            switch("snapshot", "All of one moment")
                .conflicts_with_all(["reverse", "limit", "consistency", "min-revision"]),
        )
}

pub(super) async fn run(client: &Client, matches: &ArgMatches, out: &mut Out) -> Result<()> {
    let mut pages = Pages::read(matches)?;
    if matches.get_flag("count") {
        let request = Request::get("/keys").switch("count", true);
        let answer = client.json(&read_options(pages.range.of(request), matches)).await?;
        let count =
            answer.get("count").and_then(Value::as_u64).context("a node has not counted")?;
        return out.say(&count.to_string(), &answer);
    }
    let form = Form { values: matches.get_flag("values"), null: matches.get_flag("null") };
    if matches.get_flag("snapshot") {
        let range = pages.range;
        snapshot::read(client, &range, |entry| form.entry(out, entry)).await?;
        return Ok(());
    }
    (pages.values, pages.reverse) = (form.values, matches.get_flag("reverse"));
    let mut left = matches.get_one::<u64>("limit").copied().unwrap_or(u64::MAX);
    while let Some(entries) = pages.next(client, left).await? {
        left = left.saturating_sub(entries.len() as u64);
        for entry in &entries {
            form.entry(out, entry)?;
        }
        // Whoever reads sees each page as it comes.
        out.flush()?;
    }
    pages.moved().map_or(Ok(()), |moved| tell(&moved))
}

/// How an entry is told.
#[derive(Clone, Copy)]
struct Form {
    values: bool,
    null: bool,
}

impl Form {
    fn entry(self, out: &mut Out, entry: &Value) -> Result<()> {
        let key = out::key_of(entry)?;
        if out.json {
            return match entry {
                entry if self.values => out.document(entry),
                _ => out.document(&bare(&key)),
            };
        }
        if self.null {
            let writer = out.writer();
            return std::io::Write::write_all(writer, &[key.as_slice(), b"\0"].concat())
                .context("cannot write");
        }
        if !self.values {
            return out.line(&shown(&key));
        }
        let value =
            out::bytes(entry, "body").ok_or_else(|| Failure::no("an entry has no value"))?;
        out.line(&format!("{}\t{}", shown(&key), shown(&value)))
    }
}

/// A key alone, always as an object.
fn bare(key: &[u8]) -> Value {
    str::from_utf8(key).map_or_else(
        |_| json!({ "key_base64": STANDARD.encode(key) }),
        |text| json!({ "key": text }),
    )
}
