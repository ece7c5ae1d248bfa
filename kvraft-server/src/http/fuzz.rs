//! Whatever a client sends in the fields that we read ourselves is read or refused, and never
//! taken for something else.

use std::time::Duration;

use axum::http::header::{ACCEPT, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use kvraft::WriteOptions;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::Value;

use super::query::Query;
use super::{accept, condition, etag, id, key, txn};

/// The query with one parameter of these bytes.
fn query(name: &str, value: &[u8]) -> Query {
    let value = percent_encode(value, NON_ALPHANUMERIC);
    Query::parse(Some(&format!("{name}={value}")), &[name]).unwrap()
}

/// A request with one header, if these bytes may stand in one.
fn head(name: HeaderName, value: &[u8]) -> Option<Parts> {
    let (mut head, ()) = axum::http::Request::new(()).into_parts();
    head.headers.insert(name, HeaderValue::from_bytes(value).ok()?);
    Some(head)
}

#[test]
fn cursors() {
    bolero::check!().for_each(|field: &[u8]| {
        if let Ok(key) = id::key_of_cursor(field) {
            assert_eq!(id::cursor(&key).as_bytes(), field);
        }
    });
}

#[test]
fn escapes() {
    bolero::check!().for_each(|field: &[u8]| {
        let Ok(text) = str::from_utf8(field) else { return };
        if let Ok(bytes) = id::decode(text) {
            assert!(bytes.len() <= text.len());
            let written = percent_encode(&bytes, NON_ALPHANUMERIC).to_string();
            assert_eq!(id::decode(&written).unwrap(), bytes);
        }
    });
}

#[test]
fn queries() {
    bolero::check!().for_each(|field: &[u8]| {
        let Ok(text) = str::from_utf8(field) else { return };
        let known = ["prefix", "limit", "values"];
        let Ok(query) = Query::parse(Some(text), &known) else { return };
        let given = known.iter().filter(|name| query.bytes(name).is_some()).count();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).count();
        assert_eq!(given, pairs, "none is ignored");
        let on = query.switch("values").is_ok_and(|on| on);
        assert!(!on || query.bytes("values").is_some());
        if let Ok(Some(limit)) = query.number::<usize>("limit") {
            let digits = str::from_utf8(query.bytes("limit").unwrap()).unwrap();
            assert_eq!(digits.parse(), Ok(limit));
        }
    });
}

#[test]
fn durations() {
    bolero::check!().for_each(|field: &[u8]| {
        if let Ok(Some(span)) = query("ttl", field).duration("ttl") {
            let written = humantime::format_duration(span).to_string();
            assert_eq!(humantime::parse_duration(&written).unwrap(), span);
        }
        if let Ok(Some(wait)) = query("wait", field).wait() {
            assert!(wait <= Duration::from_secs(600));
        }
        if query("timeout", field).read_options().is_ok() {
            let span = humantime::parse_duration(str::from_utf8(field).unwrap()).unwrap();
            assert!((Duration::from_millis(1)..=Duration::from_secs(600)).contains(&span));
        }
    });
}

#[test]
fn etags_of_writes() {
    bolero::check!().for_each(|field: &[u8]| {
        let taken = |name| {
            head(name, field)
                .is_some_and(|head| condition::conditional(&head, WriteOptions::new()).is_ok())
        };
        let text = String::from_utf8_lossy(field).trim().to_owned();
        if taken(IF_MATCH) {
            let revision = text.trim_matches('"').parse::<u64>();
            let own = revision.is_ok_and(|revision| revision > 0 && etag(revision) == *text);
            assert!(own || text == "*", "{text:?}");
        }
        assert!(!taken(IF_NONE_MATCH) || text == "*", "{text:?}");
    });
}

#[test]
fn headers_of_reads() {
    bolero::check!().for_each(|field: &[u8]| {
        let text = String::from_utf8_lossy(field).to_lowercase();
        if let Some(head) = head(IF_NONE_MATCH, field) {
            let same = key::IfNoneMatch::of(&head.headers).holds(17);
            assert!(!same || text.contains("\"17\"") || text.contains('*'), "{text:?}");
        }
        if let Some(head) = head(ACCEPT, field) {
            let bytes = accept::prefers_bytes(&head.headers);
            assert!(!bytes || text.contains("application/octet-stream"), "{text:?}");
        }
    });
}

#[test]
fn transactions() {
    bolero::check!().for_each(|field: &[u8]| {
        let Ok(read) = txn::read(field) else { return };
        // The same document without blanks is the same transaction.
        let document: Value = serde_json::from_slice(field).unwrap();
        let again = txn::read(document.to_string().as_bytes()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{again:?}"));
    });
}
