//! `Item`s are what a snapshot stream is made of, on its way in and out.
//!
//! The stream is a header, entries in order, rows in order, and a trailer that seals them. It
//! is logical, not pages: a receiver builds a compact environment from it, and every record brings
//! its own checksum along.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::{
    CEILING_VALUE_BYTES, MAX_KEY_BYTES, MAX_STORED_OUTCOME_BYTES, MAX_UNFINISHED,
};
use crate::storage::row::RowId;
use crate::storage::state_record::{Meta, RECORD_HEADER_BYTES, Record};

/// The first bytes of every stream; the last one is its version.
const MAGIC: &[u8; 8] = b"kvrsnap\x01";
const TAG_ENTRY: u8 = 1;
const TAG_ROW: u8 = 2;
const TAG_TRAILER: u8 = 3;

/// Largest header: memberships with many labelled nodes are far below.
const CEILING_META_BYTES: usize = 16 << 20;
const CEILING_RECORD_BYTES: usize = RECORD_HEADER_BYTES + CEILING_VALUE_BYTES as usize;
/// A session has the largest rows.
const CEILING_ROW_BYTES: usize = 64 + MAX_UNFINISHED * (16 + MAX_STORED_OUTCOME_BYTES);

/// Version and length of the meta record.
const HEADER_FRAME: usize = MAGIC.len() + 4;
/// Tag, key length, record length: of an entry and of a row.
const ENTRY_FRAME: usize = 1 + 2 + 4;
/// Tag, count of entries, count of rows, CRC32C of all before it.
const TRAILER_FRAME: usize = 1 + 8 + 8 + 4;

/// One part of a stream; records are raw and not verified yet.
pub(super) enum Item {
    Header(Box<Meta>),
    Entry { key: Bytes, record: Bytes },
    Row { id: RowId, record: Bytes },
    Trailer { entries: u64, rows: u64 },
}

pub(super) fn put_header(out: &mut BytesMut, meta: &Meta) {
    out.put_slice(MAGIC);
    out.put_bytes_with_len(&meta.encode());
}

pub(super) fn put_entry(out: &mut BytesMut, key: &[u8], record: &Record) {
    out.put_u8(TAG_ENTRY);
    // Keys and values were checked at the outer door: their lengths fit.
    out.put_u16(u16::try_from(key.len()).unwrap_or(u16::MAX));
    out.put_u32(u32::try_from(record.encoded_len()).unwrap_or(u32::MAX));
    out.put_slice(key);
    record.encode(out);
}

pub(super) fn put_row(out: &mut BytesMut, id: &RowId, record: &[u8]) {
    let key = id.key();
    out.put_u8(TAG_ROW);
    // Names are bounded far below.
    out.put_u16(u16::try_from(key.len()).unwrap_or(u16::MAX));
    out.put_u32(u32::try_from(record.len()).unwrap_or(u32::MAX));
    out.put_slice(&key);
    out.put_slice(record);
}

/// Writes the trailer behind all that `crc` and `out` cover.
pub(super) fn put_trailer(out: &mut BytesMut, entries: u64, rows: u64, crc: u32) {
    out.put_u8(TAG_TRAILER);
    out.put_u64(entries);
    out.put_u64(rows);
    let crc = crc32c::crc32c_append(crc, out);
    out.put_u32(crc);
}

/// Cuts a stream into its items, however it was cut into chunks.
#[derive(Default)]
pub(super) struct ItemReader {
    /// What was received but is not a whole item yet.
    pending: BytesMut,
    /// Over all items read so far.
    crc: u32,
    place: Place,
}

/// Where in the stream the next item stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    Middle,
    End,
}

/// The shape of the next item, as its first bytes say it.
#[derive(Clone, Copy)]
enum Shape {
    Header,
    Entry,
    Row,
    Trailer,
}

impl ItemReader {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.pending.extend_from_slice(chunk);
    }

    /// Returns whether the trailer was read and nothing came behind it.
    pub(super) fn is_complete(&self) -> bool {
        self.place == Place::End && self.pending.is_empty()
    }

    /// Returns the next whole item, or `None` until more has come.
    pub(super) fn next(&mut self) -> Decoded<Option<Item>> {
        let Some(shape) = self.shape()? else { return Ok(None) };
        let Some(len) = shape.item_len(&self.pending)? else { return Ok(None) };
        if self.pending.len() < len {
            return Ok(None);
        }
        let bytes = self.pending.split_to(len).freeze();
        let crc_before = self.crc;
        self.crc = crc32c::crc32c_append(crc_before, &bytes);
        self.place = match shape {
            Shape::Trailer => Place::End,
            Shape::Header | Shape::Entry | Shape::Row => Place::Middle,
        };
        shape.item(bytes, crc_before).map(Some)
    }

    fn shape(&self) -> Decoded<Option<Shape>> {
        let Some(first) = self.pending.first() else { return Ok(None) };
        match (self.place, *first) {
            (Place::Start, _) => Ok(Some(Shape::Header)),
            (Place::Middle, TAG_ENTRY) => Ok(Some(Shape::Entry)),
            (Place::Middle, TAG_ROW) => Ok(Some(Shape::Row)),
            (Place::Middle, TAG_TRAILER) => Ok(Some(Shape::Trailer)),
            (Place::Middle, tag) => Err(DecodeError::new(format!("item {tag} is unknown"))),
            (Place::End, _) => Err(DecodeError::new("there are bytes behind its end")),
        }
    }
}

impl Shape {
    /// Returns the length of the item that starts here, once it is there to be read. It is
    /// checked before any byte of the item is waited for.
    fn item_len(self, mut start: &[u8]) -> Decoded<Option<usize>> {
        let (frame, ceiling) = match self {
            Self::Header => (HEADER_FRAME, CEILING_META_BYTES),
            Self::Entry => (ENTRY_FRAME, CEILING_RECORD_BYTES),
            Self::Row => (ENTRY_FRAME, CEILING_ROW_BYTES),
            Self::Trailer => return Ok(Some(TRAILER_FRAME)),
        };
        if start.len() < frame {
            return Ok(None);
        }
        let mut key_bytes = 0;
        match self {
            Self::Header if !start.starts_with(MAGIC) => {
                return Err(DecodeError::new("it is no snapshot, or one of a newer version"));
            }
            Self::Entry | Self::Row => {
                start.advance(1);
                key_bytes = usize::from(start.get_u16());
                if key_bytes == 0 || key_bytes > MAX_KEY_BYTES {
                    return Err(DecodeError::new(format!("it has a key of {key_bytes} bytes")));
                }
            }
            Self::Header | Self::Trailer => start.advance(frame - 4),
        }
        let record_bytes = usize::try_from(start.get_u32()).unwrap_or(usize::MAX);
        if record_bytes > ceiling {
            return Err(DecodeError::new(format!("it has a record of {record_bytes} bytes")));
        }
        Ok(Some(frame + key_bytes + record_bytes))
    }

    /// Reads a whole item; `crc_before` covers all items before it.
    fn item(self, mut bytes: Bytes, crc_before: u32) -> Decoded<Item> {
        match self {
            Self::Header => {
                let meta = Meta::decode(bytes.split_off(HEADER_FRAME))?;
                Ok(Item::Header(Box::new(meta)))
            }
            Self::Entry | Self::Row => {
                let mut key = bytes.split_off(ENTRY_FRAME);
                let record = key.split_off(usize::from(Reader::new(bytes.slice(1..)).u16()?));
                Ok(match self {
                    Self::Row => Item::Row { id: RowId::of_key(key)?, record },
                    Self::Header | Self::Entry | Self::Trailer => Item::Entry { key, record },
                })
            }
            Self::Trailer => {
                let sealed = crc32c::crc32c_append(crc_before, &bytes.slice(..TRAILER_FRAME - 4));
                let mut reader = Reader::new(bytes.slice(1..));
                let (entries, rows) = (reader.u64()?, reader.u64()?);
                if reader.u32()? != sealed {
                    return Err(DecodeError::new("it does not match its checksum"));
                }
                Ok(Item::Trailer { entries, rows })
            }
        }
    }
}
