//! `Out` is the standard output of a command, for people or for programs.

use std::io::{self, BufWriter, Stdout, Write};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Buffered; what is not flushed is lost.
pub(super) struct Out {
    to: BufWriter<Stdout>,
    /// Whether programs read it.
    pub(super) json: bool,
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        Self { to: BufWriter::new(io::stdout()), json }
    }

    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        writeln!(self.to, "{text}").context("cannot write")
    }

    /// Says it in the form that was asked for.
    pub(super) fn say(&mut self, text: &str, document: &Value) -> Result<()> {
        if self.json { self.document(document) } else { self.line(text) }
    }

    /// A document on a line of its own.
    pub(super) fn document(&mut self, document: &Value) -> Result<()> {
        writeln!(self.to, "{document}").context("cannot write")
    }

    /// Says it, and lets it go.
    pub(super) fn flushed(mut self, text: &str, document: &Value) -> Result<()> {
        self.say(text, document)?;
        self.flush()
    }

    pub(super) fn writer(&mut self) -> &mut impl Write {
        &mut self.to
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        self.to.flush().context("cannot write")
    }
}

/// The bytes of a field in a document: as text, or in base64 under another name.
pub(super) fn bytes(document: &Value, name: &str) -> Option<Vec<u8>> {
    if let Some(text) = document.get(name).and_then(Value::as_str) {
        return Some(text.as_bytes().to_vec());
    }
    STANDARD.decode(document.get(format!("{name}_base64"))?.as_str()?).ok()
}

/// The key of an entry, or of a list that holds keys alone.
pub(super) fn key_of(entry: &Value) -> Result<Vec<u8>> {
    let key = entry.as_str().map(|key| key.as_bytes().to_vec());
    key.or_else(|| bytes(entry, "key")).context("a node has sent an entry without a key")
}

/// Puts bytes into a document: as text, or in base64 under another name.
pub(super) fn put(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => fields.insert(name.to_owned(), text.into()),
        Err(_) => fields.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// Bytes on a line for people: what is no text, or would move the cursor, is `\xNN`.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == '\\' {
                shown.push_str("\\\\");
            } else if letter.is_control() {
                let mut utf8 = [0; 4];
                for byte in letter.encode_utf8(&mut utf8).bytes() {
                    shown.push_str(&format!("\\x{byte:02x}"));
                }
            } else {
                shown.push(letter);
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_moves_the_cursor_of_a_terminal() {
        assert_eq!(shown("grün/1".as_bytes()), "grün/1");
        assert_eq!(shown(b"a\x1b[2J\n\\\xff"), "a\\x1b[2J\\x0a\\\\\\xff");
    }

    #[test]
    fn bytes_come_back_out_of_a_document() {
        for key in [&b"text"[..], b"\xff\x00"] {
            let mut fields = Map::new();
            put(&mut fields, "key", key);
            assert_eq!(key_of(&fields.into()).unwrap(), key);
        }
        assert_eq!(key_of(&"k".into()).unwrap(), b"k");
    }
}
