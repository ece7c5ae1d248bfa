//! A key id is how a key of any bytes stands in a URL, and how it stands in JSON.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::problem::Problem;

/// Decodes percent-encoded text; a `%` without two hexadecimal digits is a mistake, not a percent.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let mut escapes = text.split('%');
    // Before the first percent sign nothing is escaped.
    escapes.next();
    let whole = |escape: &str| {
        escape.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    if escapes.all(whole) {
        return Ok(percent_decode_str(text).collect());
    }
    Err(Problem::invalid(format!(
        "{text:?} has a % without two hexadecimal digits; a percent sign is written %25"
    )))
}

/// The key in a path `/key/{id}`; empty if there is none, which the map refuses.
pub(crate) fn key_of(path: &str) -> Result<Vec<u8>, Problem> {
    decode(path.strip_prefix("/key/").unwrap_or_default())
}

/// Where the next page goes on: after this key.
pub(crate) fn cursor(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key that a cursor stands for.
pub(crate) fn key_of_cursor(cursor: &[u8]) -> Result<Vec<u8>, Problem> {
    URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| Problem::invalid("cursor is not one that a page has given"))
}

/// Puts bytes into a JSON object: as text under `name`, or in base64 under `name_base64`.
pub(crate) fn insert(fields: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match str::from_utf8(bytes) {
        Ok(text) => fields.insert(name.to_owned(), text.into()),
        Err(_) => fields.insert(format!("{name}_base64"), STANDARD.encode(bytes).into()),
    };
}

/// Bytes alone in JSON: a string if they are text, else an object with their base64.
pub(crate) fn text_or_object(name: &str, bytes: &[u8]) -> Value {
    let mut fields = Map::new();
    insert(&mut fields, name, bytes);
    fields.remove(name).unwrap_or(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_bytes_comes_out_of_a_path() {
        let cases: [(&str, &[u8]); 5] = [
            ("/key/plain", b"plain"),
            ("/key/a%2Fb", b"a/b"),
            ("/key/%00%ff", b"\x00\xff"),
            ("/key/a+b%25", b"a+b%"),
            ("/key/", b""),
        ];
        for (path, key) in cases {
            assert_eq!(key_of(path).unwrap(), key, "{path}");
        }
    }

    #[test]
    fn half_an_escape_is_refused() {
        for path in ["/key/%", "/key/a%2", "/key/%zz", "/key/%é0"] {
            assert!(key_of(path).is_err(), "{path}");
        }
    }

    #[test]
    fn a_cursor_comes_back_as_its_key() {
        let key = b"\xff/any\x00";
        assert_eq!(key_of_cursor(cursor(key).as_bytes()).unwrap(), key);
        assert!(key_of_cursor(b"?").is_err());
    }

    #[test]
    fn bytes_that_are_not_text_stand_in_base64() {
        let mut fields = Map::new();
        insert(&mut fields, "key", b"\xff");
        insert(&mut fields, "body", "é".as_bytes());
        assert_eq!(Value::from(fields), serde_json::json!({"key_base64": "/w==", "body": "é"}));
    }
}
