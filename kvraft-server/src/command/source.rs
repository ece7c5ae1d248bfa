//! A `Source` is where an import takes entries from: lines of JSON, or files below a directory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::out;
use super::tree::Walk;
use crate::client::Payload;

/// The longest line: the largest value in the longest form that JSON has for it.
const LONGEST_LINE: u64 = 448 << 20;

/// An entry that is to be put.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) key: Vec<u8>,
    pub(super) value: Payload,
    pub(super) ttl: Option<String>,
    /// Whether it had a lease, which an import has not.
    pub(super) leased: bool,
}

/// Entries one after the other.
pub(super) enum Source {
    Lines { from: Box<dyn BufRead>, line: u64 },
    Files(Walk),
}

impl Source {
    /// Opens a file, a directory, or with `-` the standard input.
    pub(super) fn open(from: &Path) -> Result<Self> {
        if from == Path::new("-") {
            return Ok(Self::Lines { from: Box::new(BufReader::new(io::stdin())), line: 0 });
        }
        if from.is_dir() {
            return Ok(Self::Files(Walk::new(from)?));
        }
        let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
        Ok(Self::Lines { from: Box::new(BufReader::with_capacity(256 << 10, file)), line: 0 })
    }

    /// The next entry; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        match self {
            Self::Files(walk) => {
                let Some((key, path)) = walk.next()? else { return Ok(None) };
                let wrong = || format!("cannot read {}", path.display());
                let file = File::open(&path).with_context(wrong)?;
                let value = Payload::file(file).with_context(wrong)?;
                Ok(Some(Item { key, value, ttl: None, leased: false }))
            }
            Self::Lines { from, line } => loop {
                let mut text = Vec::new();
                let read = from.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text);
                if read.context("cannot read entries")? == 0 {
                    return Ok(None);
                }
                *line += 1;
                if !text.trim_ascii().is_empty() {
                    return item(&text).with_context(|| format!("line {line}")).map(Some);
                }
            },
        }
    }
}

/// Reads `{"key": "k", "body": "v", "ttl": "1h"}`, in the form that `export` writes.
fn item(text: &[u8]) -> Result<Item> {
    let document: Value = serde_json::from_slice(text).context("is no JSON")?;
    let fields = document.as_object().context("is no object")?;
    let known = ["key", "key_base64", "body", "body_base64", "ttl"];
    let ignored = ["revision", "created", "lease"];
    for name in fields.keys() {
        if !known.contains(&name.as_str()) && !ignored.contains(&name.as_str()) {
            bail!("has a field {name:?} that is not known; known are {}", known.join(", "));
        }
    }
    for name in ["key", "body"] {
        let both = fields.contains_key(name) && fields.contains_key(&format!("{name}_base64"));
        ensure!(!both, "has {name} and {name}_base64; give one");
    }
    let key = out::bytes(&document, "key").context("has no key, or key_base64")?;
    let value = out::bytes(&document, "body").context("has no body, or body_base64")?;
    let ttl = match fields.get("ttl") {
        None => None,
        Some(ttl) => {
            Some(ttl.as_str().context("has a ttl that is no text, such as 1h")?.to_owned())
        }
    };
    let leased = fields.get("lease").is_some_and(|lease| !lease.is_null());
    Ok(Item { key, value: Payload::Bytes(value.into()), ttl, leased })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_entry_as_an_export_writes_it() {
        let text = br#"{"key":"a","body_base64":"/w==","revision":7,"created":7,"lease":"1"}"#;
        let read = item(text).unwrap();
        assert_eq!((read.key.as_slice(), read.leased), (&b"a"[..], true));
        let mut value = Vec::new();
        read.value.copy_to(&mut value).unwrap();
        assert_eq!(value, b"\xff");
        assert_eq!(item(br#"{"key_base64":"/w==","body":"","ttl":"1h"}"#).unwrap().key, b"\xff");
    }

    #[test]
    fn what_is_no_entry_is_refused_with_its_line() {
        for text in [
            "x",
            "[]",
            r#"{"key":"a"}"#,
            r#"{"body":"a"}"#,
            r#"{"key":"a","value":"b"}"#,
            r#"{"key":"a","key_base64":"YQ==","body":"b"}"#,
            r#"{"key":"a","body":"b","ttl":1}"#,
        ] {
            let from = format!("\n{{\"key\":\"k\",\"body\":\"v\"}}\n{text}\n");
            let mut source = Source::Lines { from: Box::new(io::Cursor::new(from)), line: 0 };
            assert!(source.next().unwrap().is_some());
            let said = format!("{:#}", source.next().unwrap_err());
            assert!(said.starts_with("line 3: "), "{said}");
        }
    }
}
