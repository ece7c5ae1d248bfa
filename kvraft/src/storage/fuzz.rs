//! Any bytes as what storage reads: an error, or a value that is read again as it was written.
//!
//! Checksums would stop nearly every input: what stands behind them is sealed here first.

use bytes::{Bytes, BytesMut};

use super::backup_frame::{BackupHeader, Broken, Frame, FrameReader};
use super::lease::Lease;
use super::lock::Lock;
use super::request::Answered;
use super::row::RowId;
use super::session::Session;
use super::snapshot_item::{Item, ItemReader};
use super::state_record::{META_KEY, Meta, Record, decode_owner, seal};
use crate::codec::{Decoded, Reader};
use crate::command::{Command, Outcome, Payload};
use crate::record::{put_entry_body, put_vote, read_entry_body, read_vote};

/// Reads a value that has all of the input; `None` if it is none.
fn whole<T>(input: &[u8], decode: impl FnOnce(&mut Reader) -> Decoded<T>) -> Option<T> {
    let mut reader = Reader::new(Bytes::copy_from_slice(input));
    let value = decode(&mut reader).ok()?;
    reader.finish().ok().map(|()| value)
}

#[test]
fn commands() {
    bolero::check!().for_each(|input: &[u8]| {
        // A long form without conditions is written as the short one.
        if let Ok(command) = Command::decode(Bytes::copy_from_slice(input)) {
            assert_eq!(Command::decode(command.encode()).unwrap(), command);
        }
        Payload(Bytes::copy_from_slice(input)).proposal().ok();
    });
}

#[test]
fn outcomes() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Some(outcome) = whole(input, Outcome::decode) {
            let mut out = BytesMut::new();
            outcome.encode(&mut out);
            assert_eq!(whole(&out, Outcome::decode).unwrap(), outcome);
        }
    });
}

#[test]
fn log_entries_and_votes() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Ok(entry) = read_entry_body(7, Bytes::copy_from_slice(input)) {
            let mut out = BytesMut::new();
            put_entry_body(&mut out, &entry);
            let again = read_entry_body(7, out.freeze()).unwrap();
            assert_eq!(again, entry);
        }
        if let Some(vote) = whole(input, read_vote) {
            let mut out = BytesMut::new();
            put_vote(&mut out, &vote);
            assert_eq!(out, input);
        }
    });
}

#[test]
fn state_records() {
    bolero::check!().for_each(|input: &[u8]| {
        Meta::decode(Bytes::copy_from_slice(input)).ok();
        Record::decode(b"key", input).ok();
        decode_owner(Bytes::copy_from_slice(input)).ok();
        let sealed = seal(META_KEY, |out| out.extend_from_slice(input));
        if let Ok(meta) = Meta::decode(sealed.clone().into()) {
            let again = Meta::decode(meta.encode().into()).unwrap();
            assert_eq!(again.encode(), meta.encode());
        }
    });
}

#[test]
fn rows() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Ok(id) = RowId::of_key(Bytes::copy_from_slice(input)) {
            assert_eq!(id.key(), input);
        }
        if let Some(lease) = whole(input, Lease::decode) {
            assert_eq!(lease.encode(), input);
        }
        if let Some(lock) = whole(input, Lock::decode) {
            assert_eq!(lock.encode(), input);
        }
        if let Some(answered) = whole(input, Answered::decode) {
            assert_eq!(answered.encode(), input);
        }
        if let Some(session) = whole(input, Session::decode) {
            let again = whole(&session.encode(), Session::decode).unwrap();
            assert_eq!(again.encode(), session.encode());
        }
    });
}

/// What a reader says of a stream that comes in such chunks.
fn items_of(input: &[u8], chunk: usize) -> (usize, bool) {
    let mut reader = ItemReader::default();
    let (mut items, mut complete) = (0, false);
    for chunk in input.chunks(chunk) {
        reader.push(chunk);
        loop {
            match reader.next() {
                Ok(Some(Item::Trailer { .. })) => complete = true,
                Ok(Some(Item::Header(_) | Item::Entry { .. } | Item::Row { .. })) => {}
                Ok(None) => break,
                Err(_) => return (items, false),
            }
            items += 1;
        }
    }
    (items, complete && reader.is_complete())
}

#[test]
fn snapshots() {
    bolero::check!().for_each(|input: &[u8]| {
        assert_eq!(items_of(input, 7), items_of(input, input.len().max(1)));
    });
}

#[test]
fn backups() {
    bolero::check!().for_each(|input: &[u8]| {
        if let Ok(header) = BackupHeader::decode(Bytes::copy_from_slice(input)) {
            assert_eq!(header.encode(), input);
        }
        let Ok(mut reader) = FrameReader::new(input) else { return };
        // Each step takes bytes off the input: it ends.
        for _ in 0..=input.len() {
            match reader.next() {
                Ok(None) => return,
                Err(Broken::Io(error)) => panic!("{error}"),
                Ok(Some((_, Frame::Header(_) | Frame::Part(_) | Frame::End)))
                | Err(
                    Broken::Frame { .. }
                    | Broken::Total { .. }
                    | Broken::Rest { .. }
                    | Broken::Stranger(_),
                ) => {}
            }
        }
        panic!("the reader does not come to an end");
    });
}
