//! `Pages` are the keys of a range in order, page by page, from whichever node answers.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ArgMatches;
use serde_json::Value;

use super::range::Range;
use crate::client::{Client, Request};

/// How a range is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    pub(super) range: Range,
    pub(super) values: bool,
    pub(super) reverse: bool,
    pub(super) consistency: Option<String>,
    cursor: Option<String>,
    done: bool,
    /// The revisions of the first page and of the last one.
    pub(super) revisions: Option<(u64, u64)>,
}

/// Keys on a page: many, as a node bounds its bytes by itself.
const LIMIT: u64 = 5000;

impl Pages {
    pub(super) fn read(matches: &ArgMatches) -> Result<Self> {
        let text = |name| matches.get_one::<String>(name).cloned();
        Ok(Self {
            range: Range::read(matches)?,
            consistency: text("consistency"),
            ..Self::default()
        })
    }

    /// Goes on after this key.
    pub(super) fn after(&mut self, key: &[u8]) {
        self.cursor = Some(URL_SAFE_NO_PAD.encode(key));
    }

    /// The next page, of so many entries at most; nothing after the last one.
    pub(super) async fn next(&mut self, client: &Client, most: u64) -> Result<Option<Vec<Value>>> {
        if self.done || most == 0 {
            return Ok(None);
        }
        let request = Request::get("/keys")
            .with("limit", most.min(LIMIT).to_string())
            .switch("values", self.values)
            .switch("reverse", self.reverse)
            .maybe("cursor", self.cursor.as_ref())
            .maybe("consistency", self.consistency.as_ref())
            // No later page is older than the first one, whichever node it comes from.
            .maybe("min_revision", self.revisions.map(|(_, last)| last.to_string()));
        let mut page = client.json(&self.range.of(request)).await?;
        let wrong = "a node has sent a page that is none";
        let revision = page.get("revision").and_then(Value::as_u64).context(wrong)?;
        let first = self.revisions.map_or(revision, |(first, _)| first);
        self.revisions = Some((first, revision));
        self.cursor = page.get("cursor").and_then(Value::as_str).map(str::to_owned);
        self.done = self.cursor.is_none();
        match page.get_mut("keys").map(Value::take) {
            Some(Value::Array(entries)) => Ok(Some(entries)),
            _ => anyhow::bail!(wrong),
        }
    }

    /// Says so if the map was not the same from the first page to the last.
    pub(super) fn moved(&self) -> Option<String> {
        let (first, last) = self.revisions.filter(|(first, last)| first != last)?;
        Some(format!(
            "the map changed meanwhile: the first page is of revision {first}, the last one of \
             {last}; --snapshot gives one moment"
        ))
    }
}
