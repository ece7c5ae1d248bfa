//! `Query` is what a process asks a member to read for it, `Answer` what it is told.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::frame;
use super::kind;
use super::wire::{put_snapshot_meta, read_snapshot_meta};
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::{Found, put_bound, read_bound};
use crate::options::{
    BackupInfo, Change, Changes, Consistency, Entry, KeyRange, LeaseId, LeaseInfo, Page,
    ReadOptions, ScanOptions,
};
use crate::raft::{SnapshotMeta, Vote};
use crate::record::{put_vote, read_vote};

/// What a process has a member read.
#[derive(Debug, Clone)]
pub(crate) enum Query {
    Get {
        key: Bytes,
        read: ReadOptions,
    },
    Page {
        range: KeyRange,
        options: ScanOptions,
    },
    Count {
        range: KeyRange,
        read: ReadOptions,
    },
    Lease {
        lease: LeaseId,
        read: ReadOptions,
    },
    /// Waits until a lease, which waits for the lock since that revision, holds it.
    AwaitLock {
        name: Bytes,
        lease: LeaseId,
        revision: u64,
        timeout: Duration,
    },
    /// Opens a stream of pages, all of one moment.
    Scan {
        range: KeyRange,
        options: ScanOptions,
    },
    /// Opens a stream of changes.
    Watch {
        range: KeyRange,
        from: Option<u64>,
        previous: bool,
    },
    /// Asks which hash the member's state had as of that revision, when all states were sampled.
    StateHash {
        revision: u64,
        timeout: Duration,
    },
    /// Opens a stream of the chunks of a backup.
    Backup {
        read: ReadOptions,
    },
    /// Opens a stream of the chunks of a snapshot, of that revision or a later one, for a member
    /// that replaces its state.
    Refill {
        revision: u64,
    },
}

/// What a member has read.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Entry(Option<Entry>),
    Page(Page),
    Count(u64),
    Lease(LeaseInfo),
    /// The lease holds the lock, with this fencing token.
    Locked(u64),
    Changes(Changes),
    /// `None` if the member has no sample of that revision.
    StateHash(Option<u64>),
    /// The first part of a backup; its chunks follow, and an empty one at the end.
    Backup(BackupInfo),
    /// The first part of a snapshot, and which leader's term it is of; its chunks follow, and an
    /// empty one at the end.
    Refill {
        vote: Vote,
        meta: Box<SnapshotMeta>,
    },
    Chunk(Bytes),
}

impl Query {
    /// Returns whether the answer comes in parts, each when it is asked for.
    pub(crate) const fn is_exchange(&self) -> bool {
        matches!(
            self,
            Self::Scan { .. } | Self::Watch { .. } | Self::Backup { .. } | Self::Refill { .. }
        )
    }

    /// Returns whether a process without disk or vote may ask it.
    pub(super) const fn is_for_clients(&self) -> bool {
        !matches!(self, Self::Refill { .. })
    }

    /// Returns whether the answer may take as long as its subject, not as long as the work.
    pub(super) const fn waits(&self) -> bool {
        self.is_exchange() || matches!(self, Self::AwaitLock { .. } | Self::StateHash { .. })
    }

    pub(super) fn encode(&self) -> Bytes {
        const CAPACITY: usize = 128;
        match self {
            Self::Get { key, read } => frame(kind::GET, CAPACITY, |out| {
                put_read(out, *read);
                out.put_bytes_with_len(key);
            }),
            Self::Page { range, options } => {
                frame(kind::PAGE, CAPACITY, |out| put_scan(out, range, *options))
            }
            Self::Count { range, read } => frame(kind::COUNT, CAPACITY, |out| {
                put_read(out, *read);
                put_range(out, range);
            }),
            Self::Lease { lease, read } => frame(kind::LEASE, CAPACITY, |out| {
                put_read(out, *read);
                out.put_u64(lease.number());
            }),
            Self::AwaitLock { name, lease, revision, timeout } => {
                frame(kind::AWAIT_LOCK, CAPACITY, |out| {
                    out.put_u32(millis(*timeout));
                    out.put_bytes_with_len(name);
                    out.put_u64(lease.number());
                    out.put_u64(*revision);
                })
            }
            Self::Scan { range, options } => {
                frame(kind::SCAN, CAPACITY, |out| put_scan(out, range, *options))
            }
            Self::Watch { range, from, previous } => frame(kind::WATCH, CAPACITY, |out| {
                put_range(out, range);
                out.put_option(*from, BytesMut::put_u64);
                out.put_bool(*previous);
            }),
            Self::StateHash { revision, timeout } => frame(kind::STATE_HASH, CAPACITY, |out| {
                out.put_u32(millis(*timeout));
                out.put_u64(*revision);
            }),
            Self::Backup { read } => frame(kind::BACKUP, CAPACITY, |out| put_read(out, *read)),
            Self::Refill { revision } => {
                frame(kind::REFILL, CAPACITY, |out| out.put_u64(*revision))
            }
        }
    }

    /// Reads the body of a frame of this kind; `None` if it is no query.
    pub(super) fn decode(frame_kind: u8, reader: &mut Reader) -> Decoded<Option<Self>> {
        Ok(Some(match frame_kind {
            kind::GET => Self::Get { read: read_read(reader)?, key: reader.bytes()? },
            kind::PAGE => {
                let (range, options) = read_scan(reader)?;
                Self::Page { range, options }
            }
            kind::COUNT => Self::Count { read: read_read(reader)?, range: read_range(reader)? },
            kind::LEASE => Self::Lease { read: read_read(reader)?, lease: read_lease(reader)? },
            kind::AWAIT_LOCK => Self::AwaitLock {
                timeout: read_millis(reader)?,
                name: reader.bytes()?,
                lease: read_lease(reader)?,
                revision: reader.u64()?,
            },
            kind::SCAN => {
                let (range, options) = read_scan(reader)?;
                Self::Scan { range, options }
            }
            kind::WATCH => Self::Watch {
                range: read_range(reader)?,
                from: reader.option(Reader::u64)?,
                previous: reader.bool()?,
            },
            kind::STATE_HASH => {
                Self::StateHash { timeout: read_millis(reader)?, revision: reader.u64()? }
            }
            kind::BACKUP => Self::Backup { read: read_read(reader)? },
            kind::REFILL => Self::Refill { revision: reader.u64()? },
            _ => return Ok(None),
        }))
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::Entry(entry) => {
                let capacity = entry.as_ref().map_or(8, entry_len);
                frame(kind::ENTRY, capacity, |out| out.put_option(entry.as_ref(), put_entry))
            }
            Self::Page(page) => {
                let capacity = 16 + page.entries.iter().map(entry_len).sum::<usize>();
                frame(kind::PAGE_IS, capacity, |out| {
                    out.put_u64(page.revision);
                    out.put_bool(page.more);
                    out.put_list(page.entries.iter(), put_entry);
                })
            }
            Self::Count(count) => frame(kind::COUNT_IS, 8, |out| out.put_u64(*count)),
            Self::Lease(lease) => frame(kind::LEASE_IS, 256, |out| {
                out.put_u64(lease.id.number());
                out.put_u64(millis64(lease.ttl));
                out.put_u64(millis64(lease.remaining));
                out.put_list(lease.keys.iter(), |out, key| out.put_bytes_with_len(key));
            }),
            Self::Locked(token) => frame(kind::LOCKED, 8, |out| out.put_u64(*token)),
            Self::Changes(changes) => frame(kind::CHANGES, 256, |out| put_changes(out, changes)),
            Self::StateHash(hash) => {
                frame(kind::STATE_HASH_IS, 16, |out| out.put_option(*hash, BytesMut::put_u64))
            }
            Self::Backup(info) => frame(kind::BACKUP_IS, 80, |out| {
                out.put_bytes_with_len(info.cluster.as_bytes());
                out.put_u64(info.revision);
                out.put_u64(info.entries);
                out.put_u64(info.bytes);
                let changed = info.changed.duration_since(SystemTime::UNIX_EPOCH);
                out.put_u64(changed.map_or(0, millis64));
            }),
            Self::Refill { vote, meta } => frame(kind::REFILL_IS, 256, |out| {
                put_vote(out, vote);
                put_snapshot_meta(out, meta);
            }),
            Self::Chunk(chunk) => frame(kind::CHUNK, chunk.len(), |out| out.put_slice(chunk)),
        }
    }

    /// Reads the body of a frame of this kind; `None` if it is no answer to a query.
    pub(super) fn decode(frame_kind: u8, reader: &mut Reader) -> Decoded<Option<Self>> {
        Ok(Some(match frame_kind {
            kind::ENTRY => Self::Entry(reader.option(read_entry)?),
            kind::PAGE_IS => Self::Page(Page {
                revision: reader.u64()?,
                more: reader.bool()?,
                entries: reader.list(read_entry)?,
            }),
            kind::COUNT_IS => Self::Count(reader.u64()?),
            kind::LEASE_IS => Self::Lease(LeaseInfo {
                id: read_lease(reader)?,
                ttl: Duration::from_millis(reader.u64()?),
                remaining: Duration::from_millis(reader.u64()?),
                keys: reader.list(Reader::bytes)?,
            }),
            kind::LOCKED => Self::Locked(reader.u64()?),
            kind::CHANGES => Self::Changes(read_changes(reader)?),
            kind::STATE_HASH_IS => Self::StateHash(reader.option(Reader::u64)?),
            kind::BACKUP_IS => Self::Backup(BackupInfo {
                cluster: reader.string()?,
                revision: reader.u64()?,
                entries: reader.u64()?,
                bytes: reader.u64()?,
                changed: SystemTime::UNIX_EPOCH + Duration::from_millis(reader.u64()?),
            }),
            kind::REFILL_IS => Self::Refill {
                vote: read_vote(reader)?,
                meta: Box::new(read_snapshot_meta(reader)?),
            },
            kind::CHUNK => Self::Chunk(std::mem::take(reader).rest()),
            _ => return Ok(None),
        }))
    }
}

fn put_read(out: &mut BytesMut, read: ReadOptions) {
    out.put_u8(match read.consistency {
        None => 0,
        Some(Consistency::Linearizable) => 1,
        Some(Consistency::Lease) => 2,
        Some(Consistency::Local) => 3,
    });
    out.put_u64(read.min_revision);
    out.put_u32(read.timeout.map_or(0, millis));
}

fn read_read(reader: &mut Reader) -> Decoded<ReadOptions> {
    let consistency = match reader.u8()? {
        0 => None,
        1 => Some(Consistency::Linearizable),
        2 => Some(Consistency::Lease),
        3 => Some(Consistency::Local),
        tag => return Err(DecodeError::new(format!("consistency {tag} is unknown"))),
    };
    let min_revision = reader.u64()?;
    let timeout = Some(read_millis(reader)?).filter(|timeout| !timeout.is_zero());
    Ok(ReadOptions { consistency, min_revision, timeout })
}

fn put_scan(out: &mut BytesMut, range: &KeyRange, options: ScanOptions) {
    put_read(out, options.read);
    put_range(out, range);
    out.put_option(options.limit, |out, limit| {
        out.put_u64(u64::try_from(limit).unwrap_or(u64::MAX));
    });
    out.put_bool(options.reverse);
    out.put_bool(options.keys_only);
}

fn read_scan(reader: &mut Reader) -> Decoded<(KeyRange, ScanOptions)> {
    let read = read_read(reader)?;
    let range = read_range(reader)?;
    let limit = reader.option(Reader::u64)?;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let (reverse, keys_only) = (reader.bool()?, reader.bool()?);
    Ok((range, ScanOptions { read, limit, reverse, keys_only }))
}

fn put_range(out: &mut BytesMut, range: &KeyRange) {
    put_bound(out, &range.start);
    put_bound(out, &range.end);
}

fn read_range(reader: &mut Reader) -> Decoded<KeyRange> {
    Ok(KeyRange { start: read_bound(reader)?, end: read_bound(reader)? })
}

fn read_lease(reader: &mut Reader) -> Decoded<LeaseId> {
    LeaseId::of(reader.u64()?).ok_or_else(|| DecodeError::new("a lease with the number 0"))
}

fn entry_len(entry: &Entry) -> usize {
    40 + entry.key.len() + entry.value.len()
}

fn put_entry(out: &mut BytesMut, entry: &Entry) {
    out.put_bytes_with_len(&entry.key);
    out.put_bytes_with_len(&entry.value);
    out.put_u64(entry.revision);
    out.put_u64(entry.created);
    out.put_u64(entry.lease.map_or(0, LeaseId::number));
}

fn read_entry(reader: &mut Reader) -> Decoded<Entry> {
    Ok(Entry::new(reader.bytes()?, Found::decode(reader)?))
}

fn put_changes(out: &mut BytesMut, changes: &Changes) {
    out.put_u64(changes.upto);
    out.put_list(changes.revisions.iter(), |out, (revision, changes)| {
        out.put_u64(*revision);
        out.put_list(changes.iter(), |out, change| {
            out.put_bytes_with_len(&change.key);
            out.put_option(change.entry.as_ref(), put_entry);
            out.put_option(change.previous.as_ref(), put_entry);
        });
    });
}

fn read_changes(reader: &mut Reader) -> Decoded<Changes> {
    let upto = reader.u64()?;
    let revisions = reader.list(|reader| {
        let revision = reader.u64()?;
        let changes = reader.list(|reader| {
            Ok(Change {
                key: reader.bytes()?,
                entry: reader.option(read_entry)?,
                previous: reader.option(read_entry)?,
            })
        })?;
        Ok((revision, changes))
    })?;
    Ok(Changes { revisions, upto })
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn millis64(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn read_millis(reader: &mut Reader) -> Decoded<Duration> {
    Ok(Duration::from_millis(u64::from(reader.u32()?)))
}
