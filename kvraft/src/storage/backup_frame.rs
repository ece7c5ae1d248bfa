//! `Frame`s are what a backup is made of: their bytes, each under a CRC32C of its own.
//!
//! A backup is a preamble, one header, the parts of a snapshot stream, and an end that has a
//! CRC32C over all before it: what is cut short has no end, and a flipped bit has a place.

use std::io::{self, Read};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::{Decoded, Reader};
use crate::command::{CEILING_VALUE_BYTES, Settings};
use crate::raft::{LogId, SNAPSHOT_CHUNK_BYTES};
use crate::record::{put_log_id, read_log_id};

/// The first bytes of every backup; the version comes behind them.
const MAGIC: &[u8; 7] = b"kvrback";
/// The version of these bytes; a newer one is left alone.
const VERSION: u8 = 1;
const PREAMBLE_BYTES: usize = MAGIC.len() + 1;
/// Kind and length of the payload.
const HEAD_BYTES: usize = 1 + 4;
const CRC_BYTES: usize = 4;

const HEADER: u8 = 1;
const PART: u8 = 2;
const END: u8 = 3;

/// A part ends behind the item that fills it, the largest of which is a maximal value with its key.
const CEILING_PAYLOAD_BYTES: usize =
    SNAPSHOT_CHUNK_BYTES + CEILING_VALUE_BYTES as usize + SNAPSHOT_CHUNK_BYTES;

/// What a backup says of itself before its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackupHeader {
    pub(crate) cluster_id: u128,
    pub(crate) applied: LogId,
    pub(crate) revision: u64,
    pub(crate) settings: Settings,
    /// Wall time of the last change, for people.
    pub(crate) wall_ms: u64,
    /// How many entries there are, and the bytes of their keys and values.
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

/// One piece of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Header(BackupHeader),
    /// The next bytes of the snapshot stream.
    Part(Bytes),
    End,
}

/// Writes frames one behind the other.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    frames: u64,
    bytes: u64,
    crc: u32,
}

impl BackupHeader {
    pub(super) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::new();
        out.put_u128(self.cluster_id);
        put_log_id(&mut out, &self.applied);
        out.put_u64(self.revision);
        self.settings.encode(&mut out);
        out.put_u64(self.wall_ms);
        out.put_u64(self.entries);
        out.put_u64(self.bytes);
        out
    }

    pub(super) fn decode(payload: Bytes) -> Decoded<Self> {
        let mut reader = Reader::new(payload);
        let header = Self {
            cluster_id: reader.u128()?,
            applied: read_log_id(&mut reader)?,
            revision: reader.u64()?,
            settings: Settings::decode(&mut reader)?,
            wall_ms: reader.u64()?,
            entries: reader.u64()?,
            bytes: reader.u64()?,
        };
        reader.finish()?;
        Ok(header)
    }
}

impl FrameWriter {
    /// Returns what every backup begins with.
    pub(super) fn begin(&mut self, header: &BackupHeader) -> Bytes {
        let mut out = BytesMut::new();
        out.put_slice(MAGIC);
        out.put_u8(VERSION);
        self.written(&out);
        self.put(&mut out, HEADER, &header.encode());
        out.freeze()
    }

    pub(super) fn part(&mut self, part: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(HEAD_BYTES + part.len() + CRC_BYTES);
        self.put(&mut out, PART, part);
        out.freeze()
    }

    pub(super) fn end(&mut self) -> Bytes {
        let mut sums = BytesMut::new();
        sums.put_u64(self.frames);
        sums.put_u64(self.bytes);
        sums.put_u32(self.crc);
        let mut out = BytesMut::new();
        self.put(&mut out, END, &sums);
        out.freeze()
    }

    fn put(&mut self, out: &mut BytesMut, kind: u8, payload: &[u8]) {
        let start = out.len();
        out.put_u8(kind);
        // A part is bounded far below.
        out.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        out.put_slice(payload);
        let frame = out.get(start..).unwrap_or_default();
        out.put_u32(checksum(self.frames, &[frame]));
        self.frames += 1;
        let frame = out.get(start..).unwrap_or_default();
        self.bytes += frame.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, frame);
    }

    fn written(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }
}

/// The number of the frame is covered, so that none can be lost, doubled or moved.
fn checksum(number: u64, parts: &[&[u8]]) -> u32 {
    let begun = crc32c::crc32c(&number.to_be_bytes());
    parts.iter().fold(begun, |crc, part| crc32c::crc32c_append(crc, part))
}

/// Why there is no frame.
#[derive(Debug)]
pub(super) enum Broken {
    /// This frame is damaged; the next one may be whole.
    Frame {
        number: u64,
        at: u64,
        why: String,
    },
    /// The frames do not add up to what the end says.
    Total {
        at: u64,
        why: String,
    },
    /// From this byte on nothing can be read.
    Rest {
        at: u64,
        why: String,
    },
    /// It is no backup, or of a newer version.
    Stranger(String),
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads frames one behind the other.
pub(super) struct FrameReader<R> {
    input: R,
    sums: FrameWriter,
    /// Whether the end was read, or nothing more can be.
    over: bool,
}

impl<R: Read> FrameReader<R> {
    /// Checks what every backup begins with.
    pub(super) fn new(input: R) -> Result<Self, Broken> {
        let mut reader = Self { input, sums: FrameWriter::default(), over: false };
        let preamble = reader.read(PREAMBLE_BYTES)?;
        let version = preamble.strip_prefix(MAGIC).and_then(|version| version.first().copied());
        match version {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                return Err(Broken::Stranger(format!(
                    "it has version {newer}, this kvraft reads up to {VERSION}: use the newer \
                     kvraft that wrote it"
                )));
            }
            Some(_) | None => return Err(Broken::Stranger("it is no backup of kvraft".to_owned())),
        }
        reader.sums.written(&preamble);
        Ok(reader)
    }

    /// Returns the next frame with its first byte's place; `None` behind the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Frame)>, Broken> {
        if self.over {
            return Ok(None);
        }
        let (number, at) = (self.sums.frames, self.sums.bytes);
        let before = (self.sums.frames, self.sums.bytes, self.sums.crc);
        let (kind, payload) = self.raw().inspect_err(|broken| {
            self.over = matches!(broken, Broken::Rest { .. } | Broken::Io(_));
        })?;
        let damaged = |why: String| Broken::Frame { number, at, why };
        let frame = match kind {
            HEADER if number == 0 => {
                Frame::Header(BackupHeader::decode(payload).map_err(|e| damaged(e.to_string()))?)
            }
            PART if number > 0 => Frame::Part(payload),
            END if number > 0 => {
                self.over = true;
                self.check_end(payload, before).map_err(|why| Broken::Total { at, why })?;
                Frame::End
            }
            _ => return Err(damaged(format!("a frame of kind {kind} has no place here"))),
        };
        Ok(Some((at, frame)))
    }

    fn raw(&mut self) -> Result<(u8, Bytes), Broken> {
        let (number, at) = (self.sums.frames, self.sums.bytes);
        let rest = |why: String| Broken::Rest { at, why };
        let head = self.read(HEAD_BYTES)?;
        if head.len() < HEAD_BYTES {
            return Err(rest("it is cut short: it has no end".to_owned()));
        }
        let mut fields = head.clone();
        let (kind, len) = (fields.get_u8(), fields.get_u32());
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if !(HEADER..=END).contains(&kind) || len > CEILING_PAYLOAD_BYTES {
            return Err(rest("no frame begins here".to_owned()));
        }
        let mut body = self.read(len + CRC_BYTES)?;
        if body.len() < len + CRC_BYTES {
            return Err(rest("it is cut short within a frame".to_owned()));
        }
        for bytes in [&head, &body] {
            self.sums.written(bytes);
        }
        self.sums.frames += 1;
        let mut crc = body.split_off(len);
        if crc.get_u32() != checksum(number, &[&head, &body]) {
            let why = "it does not match its checksum".to_owned();
            return Err(Broken::Frame { number, at, why });
        }
        Ok((kind, body))
    }

    fn check_end(&mut self, payload: Bytes, before: (u64, u64, u32)) -> Result<(), String> {
        let mut reader = Reader::new(payload);
        let sums = (|| Ok((reader.u64()?, reader.u64()?, reader.u32()?)))();
        if sums.map_err(|error: crate::codec::DecodeError| error.to_string())? != before {
            return Err("all before it does not match its total".to_owned());
        }
        match self.read(1) {
            Ok(behind) if behind.is_empty() => Ok(()),
            Ok(_) => Err("there are bytes behind the end".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Reads so many bytes, or what there is; memory grows only with what is there.
    fn read(&mut self, len: usize) -> io::Result<Bytes> {
        let mut out = Vec::new();
        self.input.by_ref().take(len as u64).read_to_end(&mut out)?;
        Ok(out.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn header() -> BackupHeader {
        let settings = Settings {
            storage_limit_bytes: 1,
            max_value_bytes: 2,
            max_command_bytes: 3,
            heartbeat_interval_ms: 4,
            election_timeout_ms: 5,
            format_level: 1,
        };
        let applied = LogId::new_term_index(2, 6);
        let (revision, wall_ms, entries, bytes) = (7, 8, 9, 10);
        BackupHeader { cluster_id: 0xab, applied, revision, settings, wall_ms, entries, bytes }
    }

    fn backup() -> Vec<u8> {
        let mut writer = FrameWriter::default();
        let frames = [writer.begin(&header()), writer.part(b"abc"), writer.end()];
        frames.concat()
    }

    fn read(bytes: &[u8]) -> Vec<Result<(u64, Frame), Broken>> {
        let mut reader = match FrameReader::new(bytes) {
            Ok(reader) => reader,
            Err(broken) => return vec![Err(broken)],
        };
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn the_bytes_of_a_backup_are_golden() {
        assert_eq!(hex(&backup()), GOLDEN);
        let frames: Vec<_> = read(&backup()).into_iter().map(|frame| frame.unwrap().1).collect();
        let part = Frame::Part(Bytes::from_static(b"abc"));
        assert_eq!(frames, [Frame::Header(header()), part, Frame::End]);
    }

    const GOLDEN: &str = "6b76726261636b01010000005a000000000000000000000000000000ab0000000000000002000000\
         00000000060000000000000007000000000000000100000002000000030000000400000005000100\
         000000000000080000000000000009000000000000000a1758afbe0200000003616263103ba31803\
         000000140000000000000002000000000000007787e550e848db6ecf";

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let whole = backup();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&flipped).iter().any(Result::is_err), "bit {bit}");
        }
        for len in 0..whole.len() {
            assert!(read(&whole[..len]).iter().any(Result::is_err), "{len} bytes");
        }
        assert!(read(&[whole.clone(), vec![0]].concat()).iter().any(Result::is_err));
    }

    #[test]
    fn frames_that_are_lost_or_moved_are_found() {
        let mut writer = FrameWriter::default();
        let frames = [writer.begin(&header()), writer.part(b"a"), writer.part(b"b"), writer.end()];
        let order = |order: &[usize]| {
            let bytes: Vec<u8> = order.iter().flat_map(|i| frames[*i].to_vec()).collect();
            read(&bytes).iter().filter(|frame| frame.is_err()).count()
        };
        assert_eq!(order(&[0, 1, 2, 3]), 0);
        for wrong in [&[0, 2, 1, 3][..], &[0, 1, 3], &[0, 1, 1, 3], &[0, 1, 2, 2, 3]] {
            assert!(order(wrong) > 0, "{wrong:?}");
        }
    }

    #[test]
    fn a_damaged_frame_does_not_hide_the_next_one() {
        let mut whole = backup();
        let part = whole.windows(3).position(|bytes| bytes == b"abc").unwrap();
        whole[part] ^= 1;
        let read = read(&whole);
        assert!(matches!(read[1], Err(Broken::Frame { number: 1, at, .. }) if at < part as u64));
        assert_eq!(read.len(), 3);
    }
}
