//! The records of the state environment: their bytes, each under its own CRC32C.
//!
//! LMDB gives flipped bytes back without a word, so nothing is believed before its checksum was.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};

use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::{Found, Settings};
use crate::error::{Error, Result};
use crate::raft::{LogId, StoredMembership};
use crate::record::{put_log_id, put_stored_membership, read_log_id, read_stored_membership};

/// The version byte that every record starts with.
const VERSION: u8 = 1;
/// Version and checksum, in front of every record.
const SEAL_BYTES: usize = 1 + 4;
/// All of a data record that is not its value.
pub(super) const RECORD_HEADER_BYTES: usize = SEAL_BYTES + 3 * 8;
/// The key of the replicated part of the meta database.
pub(super) const META_KEY: &[u8] = b"replica";
/// The key that says whose state this is; never part of a snapshot.
pub(super) const OWNER_KEY: &[u8] = b"owner";

/// What the map holds under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) value: Bytes,
    /// The revision of the last change.
    pub(crate) revision: u64,
    /// The revision at which the key came to be.
    pub(crate) created: u64,
    /// The lease that the key belongs to; 0 for none.
    pub(crate) lease: u64,
    pub(super) crc: u32,
}

/// All that a [`Record`] says without its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) revision: u64,
    pub(super) created: u64,
    pub(super) lease: u64,
    pub(super) crc: u32,
    pub(super) value_bytes: u64,
}

impl Record {
    pub(super) fn new(key: &[u8], found: Found) -> Self {
        let Found { value, revision, created, lease } = found;
        let mut record = Self { value, revision, created, lease, crc: 0 };
        record.crc = checksum(key, &[&record.numbers(), &record.value]);
        record
    }

    /// Returns what the record tells to those who asked for its key.
    pub(crate) fn found(self) -> Found {
        let Self { value, revision, created, lease, crc: _ } = self;
        Found { value, revision, created, lease }
    }

    pub(super) const fn head(&self) -> Head {
        Head {
            revision: self.revision,
            created: self.created,
            lease: self.lease,
            crc: self.crc,
            value_bytes: self.value.len() as u64,
        }
    }

    fn numbers(&self) -> [u8; 24] {
        let mut out = [0; 24];
        let mut rest = out.as_mut_slice();
        rest.put_u64(self.revision);
        rest.put_u64(self.created);
        rest.put_u64(self.lease);
        out
    }

    pub(super) fn encode<W: BufMut>(&self, out: &mut W) {
        out.put_u8(VERSION);
        out.put_u32(self.crc);
        out.put_slice(&self.numbers());
        out.put_slice(&self.value);
    }

    pub(super) const fn encoded_len(&self) -> usize {
        RECORD_HEADER_BYTES + self.value.len()
    }

    /// Checks the record of `key` and copies it out of the map.
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Result<Self> {
        let (head, value) = Head::decode(key, bytes)?;
        let value = Bytes::copy_from_slice(value);
        Ok(Self::with_head(head, value))
    }

    pub(super) const fn with_head(head: Head, value: Bytes) -> Self {
        let Head { revision, created, lease, crc, value_bytes: _ } = head;
        Self { value, revision, created, lease, crc }
    }
}

impl Head {
    /// Checks the record of `key` and returns its head and its value.
    pub(super) fn decode<'a>(key: &[u8], bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let damaged = |what: &str| {
            Error::corrupt(format!(
                "the entry of a key of {} bytes {what}: remove this node's data directory and let \
                 it fetch its state from the others, or restore a backup",
                key.len()
            ))
        };
        let (seal, rest) =
            bytes.split_first_chunk::<SEAL_BYTES>().ok_or_else(|| damaged("is cut short"))?;
        let [version, crc @ ..] = *seal;
        let crc = u32::from_be_bytes(crc);
        if version != VERSION {
            return Err(damaged(&format!("has the unknown version {version}")));
        }
        if checksum(key, &[rest]) != crc {
            return Err(damaged("does not match its checksum"));
        }
        let (numbers, value) =
            rest.split_first_chunk::<24>().ok_or_else(|| damaged("is cut short"))?;
        let mut numbers = numbers.as_slice();
        let (revision, created, lease) = (numbers.get_u64(), numbers.get_u64(), numbers.get_u64());
        Ok((Self { revision, created, lease, crc, value_bytes: value.len() as u64 }, value))
    }

    /// Returns what this entry adds to the hash of the state; its checksum covers the key.
    pub(super) fn hash(&self) -> u64 {
        [self.revision, self.created, self.lease]
            .into_iter()
            .fold(mix64(u64::from(self.crc)), |hash, number| mix64(hash ^ number))
    }
}

/// How the cluster came to be; there is none before its first command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Founding {
    pub(crate) cluster_id: u128,
    /// Added to the log index to make a revision.
    pub(crate) revision_base: u64,
    pub(crate) settings: Settings,
}

/// The replicated state beside entries and sessions; small, and written with every checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Meta {
    pub(super) applied: Option<LogId>,
    pub(super) membership: Arc<StoredMembership>,
    pub(super) cluster_ms: u64,
    pub(super) wall_ms: u64,
    pub(super) founding: Option<Founding>,
    /// Entries in the map.
    pub(super) len: u64,
    /// Their keys and values together.
    pub(super) bytes: u64,
    /// The wrapping sum of [`Head::hash`] over all entries.
    pub(super) entries_hash: u64,
    /// The same over the small tables.
    pub(super) tables_hash: u64,
    /// The highest number that was given to a lease.
    pub(super) last_lease: u64,
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        seal(META_KEY, |out| {
            out.put_option(self.applied.as_ref(), put_log_id);
            put_stored_membership(out, &self.membership);
            out.put_u64(self.cluster_ms);
            out.put_u64(self.wall_ms);
            out.put_option(self.founding.as_ref(), |out, founding| {
                out.put_u128(founding.cluster_id);
                out.put_u64(founding.revision_base);
                founding.settings.encode(out);
            });
            for number in
                [self.len, self.bytes, self.entries_hash, self.tables_hash, self.last_lease]
            {
                out.put_u64(number);
            }
        })
    }

    pub(super) fn decode(bytes: Bytes) -> Decoded<Self> {
        let mut reader = unseal(META_KEY, bytes)?;
        let meta = Self {
            applied: reader.option(read_log_id)?,
            membership: Arc::new(read_stored_membership(&mut reader)?),
            cluster_ms: reader.u64()?,
            wall_ms: reader.u64()?,
            founding: reader.option(|r| {
                Ok(Founding {
                    cluster_id: r.u128()?,
                    revision_base: r.u64()?,
                    settings: Settings::decode(r)?,
                })
            })?,
            len: reader.u64()?,
            bytes: reader.u64()?,
            entries_hash: reader.u64()?,
            tables_hash: reader.u64()?,
            last_lease: reader.u64()?,
        };
        reader.finish()?;
        Ok(meta)
    }

    /// Returns one number that is equal on nodes whose whole replicated state is equal.
    pub(super) fn state_hash(&self) -> u64 {
        let encoded = self.encode();
        // Its own seal is a checksum of all the rest, which holds both sums.
        mix64(u64::from(crc32c::crc32c(&encoded)))
            .wrapping_add(self.entries_hash)
            .wrapping_add(self.tables_hash)
    }
}

pub(super) fn encode_owner(node_id: u64) -> Vec<u8> {
    seal(OWNER_KEY, |out| out.put_u64(node_id))
}

pub(super) fn decode_owner(bytes: Bytes) -> Decoded<u64> {
    let mut reader = unseal(OWNER_KEY, bytes)?;
    let node_id = reader.u64()?;
    reader.finish()?;
    Ok(node_id)
}

/// Spreads every bit of `x` over the whole word, so that sums of such words do not cancel out.
pub(super) const fn mix64(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn checksum(key: &[u8], parts: &[&[u8]]) -> u32 {
    parts.iter().fold(crc32c::crc32c(key), |crc, part| crc32c::crc32c_append(crc, part))
}

/// Writes a record: version, checksum over key and body, body.
pub(super) fn seal(key: &[u8], write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    write(&mut body);
    let mut out = Vec::with_capacity(SEAL_BYTES + body.len());
    out.put_u8(VERSION);
    out.put_u32(checksum(key, &[&body]));
    out.extend_from_slice(&body);
    out
}

pub(super) fn unseal(key: &[u8], bytes: Bytes) -> Decoded<Reader> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::new(format!("a state record of the unknown version {version}")));
    }
    let crc = reader.u32()?;
    let body = reader.rest();
    if checksum(key, &[&body]) != crc {
        return Err(DecodeError::new("a state record does not match its checksum"));
    }
    Ok(Reader::new(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn settings() -> Settings {
        Settings {
            storage_limit_bytes: 1,
            max_value_bytes: 2,
            max_command_bytes: 3,
            heartbeat_interval_ms: 4,
            election_timeout_ms: 5,
            format_level: 1,
        }
    }

    #[test]
    fn the_bytes_of_a_data_record_are_golden() {
        let record = Record::new(
            b"k",
            Found { value: Bytes::from_static(b"vv"), revision: 7, created: 5, lease: 0 },
        );
        let mut out = Vec::new();
        record.encode(&mut out);
        assert_eq!(hex(&out), "01b1fd60f80000000000000007000000000000000500000000000000007676");
        assert_eq!(Record::decode(b"k", &out).unwrap(), record);
        assert_eq!(Head::decode(b"k", &out).unwrap().0, record.head());
    }

    #[test]
    fn the_bytes_of_the_meta_records_are_golden() {
        let meta = Meta {
            applied: Some(LogId::new_term_index(2, 6)),
            membership: Arc::default(),
            cluster_ms: 8,
            wall_ms: 9,
            founding: Some(Founding { cluster_id: 0xab, revision_base: 5, settings: settings() }),
            len: 1,
            bytes: 3,
            entries_hash: 11,
            tables_hash: 12,
            last_lease: 13,
        };
        let out = meta.encode();
        assert_eq!(
            hex(&out),
            "01437e8ae80100000000000000020000000000000006000000000000000000000000000000000800\
         0000000000000901000000000000000000000000000000ab00000000000000050000000000000001\
         00000002000000030000000400000005000100000000000000010000000000000003000000000000\
         000b000000000000000c000000000000000d"
        );
        assert_eq!(Meta::decode(out.into()).unwrap(), meta);
        let owner = encode_owner(0xab);
        assert_eq!(hex(&owner), "01347dcdd200000000000000ab");
        assert_eq!(decode_owner(owner.into()).unwrap(), 0xab);
    }

    #[test]
    fn every_flipped_bit_of_a_record_is_noticed() {
        let mut record = Vec::new();
        Record::new(
            b"k",
            Found { value: Bytes::from_static(b"value"), revision: 7, created: 5, lease: 0 },
        )
        .encode(&mut record);
        let meta = Meta::default().encode();
        for bit in 0..record.len() * 8 {
            let mut flipped = record.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = Record::decode(b"k", &flipped).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Corrupt);
        }
        for bit in 0..meta.len() * 8 {
            let mut flipped = meta.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Meta::decode(flipped.into()).is_err());
        }
        assert!(Record::decode(b"other", &record).is_err());
    }
}
