//! Any bytes as a frame: an error, or a value that is read again as it was written.

use super::super::frame::Frame;
use super::super::greeting::{Hello, Refusal};
use super::super::message::{Request, Response, SnapshotPart};
use super::*;
use crate::codec::Decoded;

/// Length and kind, in front of the body.
const HEADER_BYTES: usize = 5;

/// Cuts the input into the kind of a frame and its body.
fn frame_of(input: &[u8]) -> Option<Frame> {
    let (kind, body) = input.split_first()?;
    Some(Frame { kind: *kind, body: Bytes::copy_from_slice(body) })
}

/// Cuts what was written likewise.
fn again(written: &Bytes) -> Frame {
    Frame { kind: written[HEADER_BYTES - 1], body: written.slice(HEADER_BYTES..) }
}

/// Reads any bytes; what is a value is read again as it is written. An outcome in its long form
/// without anything is written as the short one, so that the bytes may differ the first time.
fn read_again<T>(input: &[u8], decode: fn(Frame) -> Decoded<T>, encode: fn(&T) -> Bytes) {
    let Some(frame) = frame_of(input) else { return };
    if let Ok(value) = decode(frame) {
        let written = encode(&value);
        assert_eq!(encode(&decode(again(&written)).unwrap()), written);
    }
}

#[test]
fn requests() {
    bolero::check!().for_each(|input: &[u8]| read_again(input, Request::decode, Request::encode));
}

#[test]
fn responses() {
    bolero::check!().for_each(|input: &[u8]| read_again(input, Response::decode, Response::encode));
}

#[test]
fn snapshot_parts() {
    bolero::check!()
        .for_each(|input: &[u8]| read_again(input, SnapshotPart::decode, SnapshotPart::encode));
}

#[test]
fn greetings() {
    bolero::check!().for_each(|input: &[u8]| {
        let Some(frame) = frame_of(input) else { return };
        // Later releases may add fields at the end, which are not kept.
        if let Ok(hello) = Hello::decode(frame.clone()) {
            assert_eq!(Hello::decode(again(&hello.encode())).unwrap(), hello);
        }
        Refusal::decode(&frame).ok();
    });
}
