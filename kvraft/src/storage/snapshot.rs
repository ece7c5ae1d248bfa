//! `ViewSource` sends a pinned view as a snapshot stream.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::command::SessionId;
use crate::raft::{SNAPSHOT_CHUNK_BYTES, SnapshotSource};
use crate::storage::snapshot_item::{put_entry, put_header, put_session, put_trailer};
use crate::storage::state_disk::Order;
use crate::storage::state_record::encode_session;
use crate::storage::view::{PageLimits, PageRequest, View};

/// Entries that are read under one hold of a read transaction.
const PAGE_ENTRIES: usize = 4096;

/// Reads a view chunk by chunk, without a cursor that outlives a call.
pub(super) struct ViewSource {
    view: Arc<View>,
    next: Part,
    entries: u64,
    sessions: u64,
    crc: u32,
}

/// Where the stream goes on.
enum Part {
    Header,
    /// Entries behind this key.
    Entries(Option<Bytes>),
    /// Sessions behind this one.
    Sessions(Option<SessionId>),
    Trailer,
    End,
}

impl ViewSource {
    pub(super) const fn new(view: Arc<View>) -> Self {
        Self { view, next: Part::Header, entries: 0, sessions: 0, crc: 0 }
    }

    fn put_next(&mut self, out: &mut BytesMut) -> io::Result<()> {
        self.next = match std::mem::replace(&mut self.next, Part::End) {
            Part::Header => {
                put_header(out, &self.view.meta);
                Part::Entries(None)
            }
            Part::Entries(after) => self.put_entries(after, out)?,
            Part::Sessions(after) => match self.view.sessions.next(after) {
                Some((id, session)) => {
                    put_session(out, id, &encode_session(id, session));
                    self.sessions += 1;
                    Part::Sessions(Some(id))
                }
                None => Part::Trailer,
            },
            Part::Trailer => {
                put_trailer(out, self.entries, self.sessions, self.crc);
                Part::End
            }
            Part::End => Part::End,
        };
        Ok(())
    }

    fn put_entries(&mut self, after: Option<Bytes>, out: &mut BytesMut) -> io::Result<Part> {
        let bytes = SNAPSHOT_CHUNK_BYTES.saturating_sub(out.len());
        let request = PageRequest {
            range: (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded),
            order: Order::Forward,
            limits: PageLimits { entries: PAGE_ENTRIES, bytes },
            keys_only: false,
        };
        let page = self.view.page(&request).map_err(io::Error::other)?;
        for (key, record) in &page.items {
            put_entry(out, key, record);
        }
        self.entries += page.items.len() as u64;
        Ok(match page.items.last() {
            Some((last, _)) if page.more => Part::Entries(Some(last.clone())),
            Some(_) | None => Part::Sessions(None),
        })
    }
}

impl SnapshotSource for ViewSource {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        let mut out = BytesMut::new();
        while out.len() < SNAPSHOT_CHUNK_BYTES && !matches!(self.next, Part::End) {
            self.put_next(&mut out)?;
        }
        if out.is_empty() {
            return Ok(None);
        }
        self.crc = crc32c::crc32c_append(self.crc, &out);
        Ok(Some(out.freeze()))
    }
}
