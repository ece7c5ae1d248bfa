//! A `Sink` is where an export puts entries: lines of JSON, or files below a directory.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::out::{self, Out};
use super::part::Part;
use super::tree;

/// What is gathered before it is written.
const BUFFER: usize = 256 << 10;

/// Where entries go.
pub(super) enum Sink<'a> {
    Lines(&'a mut Out),
    File { part: Part, buffer: Vec<u8> },
    Tree { dir: PathBuf },
}

impl Sink<'_> {
    /// Begins a file, or goes on with one; returns the last key in it.
    pub(super) fn file(whole: &Path, resume: bool) -> Result<(Self, Option<Vec<u8>>)> {
        let (mut part, mut last) = (None, None);
        if resume {
            let mut former = Part::open(whole)?;
            last = end_of(former.file()).context("cannot go on with what there is")?;
            part = Some(former);
        }
        let mut part = match part {
            Some(part) => part,
            None => Part::create(whole)?,
        };
        part.stay();
        Ok((Self::File { part, buffer: Vec::new() }, last))
    }

    /// Begins a tree, or goes on with one; returns the last key that is sure to be in it.
    pub(super) fn tree(dir: &Path, resume: bool) -> Result<(Self, Option<Vec<u8>>)> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let mark = mark(dir);
        let mut last = None;
        if resume && mark.exists() {
            let text = fs::read_to_string(&mark)
                .with_context(|| format!("cannot read {}", mark.display()))?;
            let key = STANDARD.decode(text.trim());
            last = Some(key.with_context(|| format!("{} holds no key", mark.display()))?);
            last.take_if(|key| key.is_empty());
        } else if !tree::is_empty(dir)? {
            bail!(
                "{} is not empty{}",
                dir.display(),
                if resume { ", and no export was broken off there" } else { "" }
            );
        }
        let sink = Self::Tree { dir: dir.to_owned() };
        sink.mark(last.as_deref().unwrap_or_default())?;
        Ok((sink, last))
    }

    /// Puts an entry under this key, which may be shorter than its own.
    pub(super) fn entry(&mut self, key: &[u8], entry: &Value) -> Result<()> {
        match self {
            Self::Lines(out) => out.document(&renamed(key, entry)),
            Self::File { part, buffer } => {
                writeln!(buffer, "{}", renamed(key, entry)).context("cannot write")?;
                if buffer.len() < BUFFER {
                    return Ok(());
                }
                part.write(&std::mem::take(buffer))
            }
            Self::Tree { dir } => {
                let value = out::bytes(entry, "body").context("an entry has no value")?;
                let place = tree::place(dir, key)?;
                let part = dir.join(format!("{}part", tree::OWN));
                let wrong = || format!("cannot write {}", place.display());
                fs::write(&part, value).and_then(|()| fs::rename(&part, &place)).with_context(wrong)
            }
        }
    }

    /// All entries up to this key are in.
    pub(super) fn reached(&mut self, last: &[u8]) -> Result<()> {
        match self {
            Self::Lines(out) => out.flush(),
            Self::File { part, buffer } => part.write(&std::mem::take(buffer)),
            Self::Tree { .. } => self.mark(last),
        }
    }

    fn mark(&self, last: &[u8]) -> Result<()> {
        let Self::Tree { dir } = self else { return Ok(()) };
        let (mark, part) = (mark(dir), dir.join(format!("{}mark", tree::OWN)));
        fs::write(&part, STANDARD.encode(last))
            .and_then(|()| fs::rename(&part, &mark))
            .with_context(|| format!("cannot write {}", mark.display()))
    }

    /// All entries are in.
    pub(super) fn finish(self) -> Result<()> {
        match self {
            Self::Lines(out) => out.flush(),
            Self::File { mut part, buffer } => {
                part.write(&buffer)?;
                part.keep()
            }
            Self::Tree { dir } => {
                let mark = mark(&dir);
                fs::remove_file(&mark).with_context(|| format!("cannot remove {}", mark.display()))
            }
        }
    }

    /// How to go on after a failure.
    pub(super) const fn advice(&self) -> &'static str {
        match self {
            Self::Lines(_) => "what was written is not whole",
            Self::File { .. } | Self::Tree { .. } => "the export is not whole, go on with --resume",
        }
    }
}

/// Where a tree notes how far it has come.
fn mark(dir: &Path) -> PathBuf {
    dir.join(format!("{}export", tree::OWN))
}

/// An entry under another key.
fn renamed(key: &[u8], entry: &Value) -> Value {
    let mut fields = entry.as_object().cloned().unwrap_or_default();
    fields.remove("key");
    fields.remove("key_base64");
    out::put(&mut fields, "key", key);
    fields.into()
}

/// Finds the last whole line of a file, cuts off what comes behind, and returns its key.
fn end_of(file: &mut File) -> Result<Option<Vec<u8>>> {
    let (mut last, mut whole) = (Vec::new(), 0);
    {
        let mut reader = BufReader::new(&mut *file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                break;
            }
            whole += read as u64;
            std::mem::swap(&mut last, &mut line);
        }
    }
    file.set_len(whole)?;
    file.seek(SeekFrom::End(0))?;
    if last.is_empty() {
        return Ok(None);
    }
    let entry: Value = serde_json::from_slice(&last).context("its last line is no JSON")?;
    out::key_of(&entry).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_that_was_broken_off_goes_on_after_its_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("f");
        fs::write(dir.path().join("f.part"), "{\"key\":\"a\",\"body\":\"1\"}\n{\"key\":\"b")
            .unwrap();
        let (mut sink, last) = Sink::file(&whole, true).unwrap();
        assert_eq!(last.unwrap(), b"a");
        sink.entry(b"b", &json!({"key": "x", "body": "2"})).unwrap();
        sink.finish().unwrap();
        let text = fs::read_to_string(&whole).unwrap();
        assert_eq!(text, "{\"key\":\"a\",\"body\":\"1\"}\n{\"body\":\"2\",\"key\":\"b\"}\n");
        assert!(Sink::file(&whole, true).is_err(), "there is nothing to go on with");
    }

    #[test]
    fn a_tree_that_was_broken_off_goes_on_after_what_is_sure() {
        let dir = tempfile::tempdir().unwrap();
        let (mut sink, last) = Sink::tree(dir.path(), false).unwrap();
        assert_eq!(last, None);
        sink.entry(b"a/b", &json!({"body": "1"})).unwrap();
        sink.reached(b"a/b").unwrap();
        drop(sink);
        assert!(Sink::tree(dir.path(), false).is_err(), "it is not empty");
        let (sink, last) = Sink::tree(dir.path(), true).unwrap();
        assert_eq!(last.unwrap(), b"a/b");
        sink.finish().unwrap();
        assert_eq!(fs::read(dir.path().join("a/b")).unwrap(), b"1");
        assert!(Sink::tree(dir.path(), true).is_err(), "it is whole");
    }
}
