//! Peers of other releases: what was frozen, what is agreed on, what is not sent.

use bytes::BufMut;

use super::super::frame::{expect_frame, frame};
use super::super::greeting::Refusal;
use super::super::kind;
use super::super::message::SnapshotPart;
use super::frames::{hex, unframed};
use super::requests::{answer_to, greeted_connection, refused};
use super::*;
use crate::error::ErrorKind;

const FROZEN: &str = include_str!("../../../testdata/wire/1.txt");

/// What stands in the file of frozen frames: who reads each, and its bytes.
fn frozen() -> Vec<(&'static str, Bytes)> {
    let lines = FROZEN.lines().filter(|line| !line.starts_with('#'));
    let frames = lines.map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let [reader, _, hex] = words[..] else { panic!("{line}") };
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (reader, (0..hex.len()).step_by(2).map(byte).collect())
    });
    frames.collect()
}

/// Reads a frame and writes it again as this release does.
fn again(reader: &str, bytes: &Bytes) -> Bytes {
    let found = unframed(bytes);
    match reader {
        "request" => Request::decode(found).unwrap().encode(),
        "response" => Response::decode(found).unwrap().encode(),
        "part" => SnapshotPart::decode(found).unwrap().encode(),
        "next" => frame(found.kind, 0, |_| {}),
        "greeting" if found.kind == kind::HELLO => Hello::decode(found).unwrap().encode(),
        other => panic!("{other} reads {found:?}"),
    }
}

#[test]
fn every_frame_of_protocol_1_is_read_and_written_as_it_was_frozen() {
    let mut kinds = Vec::new();
    for (reader, bytes) in frozen() {
        kinds.push(bytes[4]);
        if bytes[4] != kind::REFUSED {
            assert_eq!(hex(&again(reader, &bytes)), hex(&bytes));
        }
    }
    let known = (0..=u8::MAX).filter(|kind| kind::max_body_len(*kind).is_some());
    let missing: Vec<_> =
        known.filter(|kind| kind::since(*kind).protocol <= 1 && !kinds.contains(kind)).collect();
    assert!(missing.is_empty(), "a kind that was added later has a row in since(): {missing:?}");
}

#[test]
fn a_refusal_of_protocol_1_has_no_reason_and_a_newer_one_may_have_one_that_nobody_knows() {
    let is_refusal = |bytes: &Bytes| bytes[4] == kind::REFUSED;
    let (_, old) = frozen().into_iter().find(|(_, bytes)| is_refusal(bytes)).unwrap();
    let newer = frame(kind::REFUSED, 16, |out| {
        out.put_slice(b"\0\0\0\x03why\xeemore");
    });
    let read = Some(Refusal { reason: Reason::Other, text: "why".into() });
    for bytes in [old, newer] {
        assert_eq!(Refusal::decode(&unframed(&bytes)).unwrap(), read);
    }
}

#[test]
fn what_a_newer_hello_says_at_its_end_is_ignored_and_of_no_other_frame() {
    let longer =
        |bytes: &Bytes| frame(bytes[4], 0, |out| out.put_slice(&[&bytes[5..], b"more"].concat()));
    let newer = hello("a", 7);
    assert_eq!(Hello::decode(unframed(&longer(&newer.encode()))).unwrap(), newer);
    let cut = newer.encode();
    Hello::decode(unframed(&frame(kind::HELLO, 0, |out| out.put_slice(&cut[5..cut.len() - 1]))))
        .unwrap_err();
    let request = Request::ReadIndex { timeout_ms: 1 }.encode();
    Request::decode(unframed(&longer(&request))).unwrap_err();
    Response::decode(unframed(&longer(&Response::ReadIndex(1).encode()))).unwrap_err();
}

fn speaking(oldest: u16, newest: u16, name: &str, node_id: u64) -> Node {
    let hello = Hello { protocols: Protocols { oldest, newest }, ..hello(name, node_id) };
    Node::of(Fake::new(hello), &secrets(&[1]))
}

#[tokio::test]
async fn nodes_of_following_releases_talk_in_both_directions() {
    let (old, new, newer) =
        (speaking(1, 1, "a", 1), Node::start("b", 2, &secrets(&[1])), speaking(1, 9, "c", 3));
    for (asks, asked) in [(&old, &new), (&new, &old), (&old, &newer), (&newer, &old)] {
        assert!(matches!(asks.ask(asked).await, Ok(Response::ReadIndex(_))));
    }
}

#[tokio::test]
async fn what_a_peer_of_an_older_release_does_not_know_is_not_sent_to_it() {
    let (old, new) = (speaking(0, 0, "old", 1), speaking(0, 2, "new", 2));
    for _ in 0..2 {
        let error = unsent(new.ask(&old).await);
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        let words = ["node old at", "runs a release that cannot take part", "upgrade it"];
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    assert_eq!(new.transport.0.endpoint.open_connections(), 1, "the connection stays");

    // The other way round it is asked for something whose answer it would not know.
    let hello = Hello { protocols: Protocols { oldest: 0, newest: 0 }, ..hello("x", 9) };
    let connection = greeted_connection(&new, &secrets(&[1]), &hello).await;
    let asked = Request::ReadIndex { timeout_ms: 1 }.encode();
    let error = refused(answer_to(&connection, &asked).await);
    assert!(error.to_string().contains("upgrade it"), "{error}");
}

#[tokio::test]
async fn a_frame_of_a_newer_release_is_answered_in_words_and_ends_nothing_else() {
    let security = secrets(&[1]);
    let b = Node::start("b", 2, &security);
    let connection = greeted_connection(&b, &security, &hello("x", 9)).await;
    let (mut appends, mut results) = connection.open_bi().await.unwrap();
    appends.write_all(&Request::StreamAppend.encode()).await.unwrap();
    for len in [0, 1 << 20] {
        let unknown = frame(99, len, |out| out.put_bytes(7, len));
        let error = refused(answer_to(&connection, &unknown).await);
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.to_string().contains("frame 99 is unknown"), "{error}");
    }
    let append = AppendRequest {
        vote: Vote::new_committed(1, 9),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    appends.write_all(&Request::Append(append).encode()).await.unwrap();
    b.fake.gate.add_permits(1);
    let result = expect_frame(&mut results, kind::RESPONSE_LIMIT).await;
    let result = Response::decode(result.unwrap()).unwrap();
    assert!(matches!(result, Response::StreamAppend(Ok(None))), "{result:?}");
}
