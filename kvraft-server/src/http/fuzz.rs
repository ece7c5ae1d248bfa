//! Whatever a client sends in the fields that we read ourselves is read or refused, and never
//! taken for something else. The corpus in `testdata/fuzz` is where the made-up fields begin.
//!
//! `PROPTEST_CASES=100000 cargo test --release -p kvraft-server http::fuzz` looks for longer; a
//! field that is found goes into the corpus.

use std::path::Path;
use std::time::Duration;

use axum::http::header::{ACCEPT, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use kvraft::WriteOptions;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::query::Query;
use super::{accept, condition, etag, id, key, txn};

/// Pieces that mean something in one of the fields.
const WORDS: [&str; 32] = [
    "\"",
    "W/",
    "*",
    ", ",
    "%",
    "%25",
    "%zz",
    "+",
    "&",
    "=",
    "ms",
    "s",
    "min",
    "years",
    " ",
    "-",
    ".",
    "0",
    "18446744073709551616",
    "9223372036854775808",
    "1e9",
    "nan",
    "{",
    "}",
    "[",
    "]",
    ":",
    "null",
    "\\u0000",
    "_base64",
    "\u{661}",
    "q=",
];

/// What is done to a field of the corpus.
#[derive(Debug, Clone)]
enum Change {
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Flip(Index, u8),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let word = prop::sample::select(WORDS.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let piece = prop_oneof![4 => word, 1 => prop::collection::vec(any::<u8>(), 1..4)];
    prop_oneof![
        (any::<Index>(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (any::<Index>(), 1..8_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), 1..24_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

fn changed(mut field: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: &Index| at.index(field.len() + 1);
        match change {
            Change::Insert(at, piece) => {
                let at = place(at);
                field.splice(at..at, piece.iter().copied());
            }
            Change::Remove(at, length) => {
                let at = place(at);
                let end = field.len().min(at + length);
                field.drain(at..end);
            }
            Change::Flip(at, bit) => {
                let at = place(at);
                if let Some(byte) = field.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            Change::Repeat(at, length) => {
                let at = place(at);
                let piece: Vec<_> = field[at..].iter().copied().take(*length).collect();
                field.splice(at..at, piece);
            }
        }
    }
    field
}

/// The fields of one kind that are worth beginning with.
fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/fuzz").join(kind);
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 3, "{}", folder.display());
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Fields of the corpus as they are, changed ones, and any bytes.
fn fields(kind: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let kept = prop::sample::select(corpus(kind));
    let changes = prop::collection::vec(change(), 1..5);
    prop_oneof![
        1 => kept.clone(),
        8 => (kept, changes).prop_map(|(field, changes)| changed(field, &changes)),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// The query with one parameter of these bytes.
fn query(name: &str, value: &[u8]) -> Query {
    let value = percent_encoding::percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
    Query::parse(Some(&format!("{name}={value}")), &[name]).unwrap()
}

fn head(name: axum::http::HeaderName, value: &[u8]) -> Option<Parts> {
    let (mut head, ()) = axum::http::Request::new(()).into_parts();
    head.headers.insert(name, HeaderValue::from_bytes(value).ok()?);
    Some(head)
}

proptest! {
    #![proptest_config(ProptestConfig {
        // A case takes some microseconds.
        cases: ProptestConfig::default().cases.saturating_mul(8),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_cursor_is_one_that_a_page_may_give_or_none(field in fields("cursor")) {
        if let Ok(key) = id::key_of_cursor(&field) {
            prop_assert_eq!(id::cursor(&key).into_bytes(), field);
        }
    }

    #[test]
    fn a_key_in_a_path_and_a_query_is_read_in_one_way(field in fields("query")) {
        let Ok(text) = str::from_utf8(&field) else { return Ok(()) };
        if let Ok(bytes) = id::decode(text) {
            let encoded = percent_encoding::percent_encode(&bytes, percent_encoding::NON_ALPHANUMERIC);
            prop_assert!(bytes.len() <= text.len());
            prop_assert_eq!(id::decode(&encoded.to_string()).unwrap(), bytes);
        }
        let known = ["prefix", "start", "limit", "values"];
        if let Ok(query) = Query::parse(Some(text), &known) {
            let given = known.iter().filter(|name| query.bytes(name).is_some()).count();
            let pairs = text.split('&').filter(|pair| !pair.is_empty()).count();
            prop_assert_eq!(given, pairs, "none is ignored");
            let _range = query.range();
            if query.switch("values").is_ok_and(|on| on) {
                prop_assert!(text.contains("values"));
            }
            if let Ok(Some(limit)) = query.number::<usize>("limit") {
                prop_assert!(text.contains("limit"), "{}", limit);
            }
        }
    }

    #[test]
    fn a_duration_is_what_it_says_and_within_its_bounds(field in fields("duration")) {
        let text = String::from_utf8_lossy(&field);
        if let Ok(Some(span)) = query("ttl", &field).duration("ttl") {
            let again = humantime::format_duration(span).to_string();
            prop_assert_eq!(humantime::parse_duration(&again).unwrap(), span, "{}", text);
            prop_assert!(text.bytes().any(|byte| byte.is_ascii_digit()), "{}", text);
        }
        if let Ok(Some(wait)) = query("wait", &field).wait() {
            prop_assert!(wait <= Duration::from_secs(600));
        }
        if query("timeout", &field).read_options().is_ok() {
            let span = humantime::parse_duration(&text).unwrap();
            prop_assert!(Duration::from_millis(1) <= span && span <= Duration::from_secs(600));
        }
    }

    #[test]
    fn a_write_is_conditional_on_the_very_tag_that_was_given_or_refused(field in fields("etag")) {
        if let Some(head) = head(IF_MATCH, &field)
            && condition::conditional(&head, WriteOptions::new()).is_ok()
        {
            let text = str::from_utf8(&field).unwrap().trim();
            let revision = text.trim_matches('"').parse::<u64>();
            let given = revision.is_ok_and(|revision| revision > 0 && etag(revision) == text);
            prop_assert!(given || text == "*", "{:?}", text);
        }
        if let Some(head) = head(IF_NONE_MATCH, &field) {
            let only_star = condition::conditional(&head, WriteOptions::new()).is_ok();
            let text = String::from_utf8_lossy(&field);
            prop_assert_eq!(only_star, text.trim() == "*");
            let unchanged = key::IfNoneMatch::of(&head.headers).holds(17);
            prop_assert!(!unchanged || text.contains("\"17\"") || text.contains('*'));
        }
        if let Some(head) = head(ACCEPT, &field) {
            let bytes = accept::prefers_bytes(&head.headers);
            let named = field.to_ascii_lowercase().windows(24).any(|part| part == b"application/octet-stream");
            prop_assert!(!bytes || named);
        }
    }

    #[test]
    fn a_transaction_is_read_in_one_way_or_refused(field in fields("txn")) {
        if let Ok(read) = txn::read(&field) {
            // The same document in another order and without blanks is the same transaction.
            let document: Value = serde_json::from_slice(&field).unwrap();
            let again = txn::read(document.to_string().as_bytes()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{again:?}"));
            let names = document.as_object().unwrap().keys();
            for name in names {
                prop_assert!(["compares", "then", "else"].contains(&name.as_str()));
            }
        }
    }
}
