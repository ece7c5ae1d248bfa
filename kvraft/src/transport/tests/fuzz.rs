//! Any bytes as a frame: an error, or a value that is read again as it was written.

use super::super::frame::Frame;
use super::super::greeting::{Hello, Refusal};
use super::super::message::{Request, Response, SnapshotPart};
use super::*;

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

#[test]
fn requests() {
    bolero::check!().for_each(|input: &[u8]| {
        let Some(frame) = frame_of(input) else { return };
        if let Ok(request) = Request::decode(frame.clone()) {
            let written = request.encode();
            assert_eq!(Request::decode(again(&written)).unwrap().encode(), written);
        }
    });
}

#[test]
fn responses() {
    bolero::check!().for_each(|input: &[u8]| {
        let Some(frame) = frame_of(input) else { return };
        if let Ok(response) = Response::decode(frame.clone()) {
            // An outcome in its long form without anything is written as the short one.
            let written = response.encode();
            assert_eq!(Response::decode(again(&written)).unwrap().encode(), written);
        }
    });
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

#[test]
fn snapshot_parts() {
    bolero::check!().for_each(|input: &[u8]| {
        let Some(frame) = frame_of(input) else { return };
        if let Ok(part) = SnapshotPart::decode(frame.clone()) {
            assert_eq!(SnapshotPart::decode(again(&part.encode())).unwrap(), part);
        }
    });
}
