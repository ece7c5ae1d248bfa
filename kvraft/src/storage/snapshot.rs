//! `ViewSource` sends a pinned view as a snapshot stream.
//!
//! `ViewCursor` is where it stands, for those who borrow their view anew for each step.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::Result;
use crate::raft::{SNAPSHOT_CHUNK_BYTES, SnapshotSource};
use crate::storage::row::RowId;
use crate::storage::snapshot_item::{put_entry, put_header, put_row, put_trailer};
use crate::storage::state_disk::Order;
use crate::storage::view::{PageLimits, PageRequest, View};

/// Entries that are read under one hold of a read transaction.
const PAGE_ENTRIES: usize = 4096;

/// Makes the chunks of a copy of one view, which is to be the same at every call.
pub(crate) trait ViewWriter: Send + 'static {
    /// Returns the next chunk (about 1 MiB, or one entry); `None` at the end. Reads the disk.
    fn next_chunk(&mut self, view: &Arc<View>) -> Result<Option<Bytes>>;
}

/// Reads a view chunk by chunk.
pub(super) struct ViewSource {
    view: Arc<View>,
    cursor: ViewCursor,
}

/// Where a stream of a view stands, without a cursor of the disk that outlives a call.
pub(crate) struct ViewCursor {
    next: Part,
    entries: u64,
    rows: u64,
    crc: u32,
}

/// Where the stream goes on.
enum Part {
    Header,
    /// Entries behind this key.
    Entries(Option<Bytes>),
    /// Rows behind this one.
    Rows(Option<RowId>),
    Trailer,
    End,
}

impl ViewSource {
    pub(super) const fn new(view: Arc<View>) -> Self {
        Self { view, cursor: ViewCursor::new() }
    }
}

impl SnapshotSource for ViewSource {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.cursor.next_chunk(&self.view).map_err(io::Error::other)
    }
}

impl ViewWriter for ViewCursor {
    fn next_chunk(&mut self, view: &Arc<View>) -> Result<Option<Bytes>> {
        let mut out = BytesMut::new();
        while out.len() < SNAPSHOT_CHUNK_BYTES && !matches!(self.next, Part::End) {
            self.put_next(view, &mut out)?;
        }
        if out.is_empty() {
            return Ok(None);
        }
        self.crc = crc32c::crc32c_append(self.crc, &out);
        Ok(Some(out.freeze()))
    }
}

impl ViewCursor {
    pub(crate) const fn new() -> Self {
        Self { next: Part::Header, entries: 0, rows: 0, crc: 0 }
    }

    fn put_next(&mut self, view: &View, out: &mut BytesMut) -> Result<()> {
        self.next = match std::mem::replace(&mut self.next, Part::End) {
            Part::Header => {
                put_header(out, &view.meta);
                Part::Entries(None)
            }
            Part::Entries(after) => self.put_entries(view, after, out)?,
            Part::Rows(after) => self.put_row(view, after.as_ref(), out),
            Part::Trailer => {
                put_trailer(out, self.entries, self.rows, self.crc);
                Part::End
            }
            Part::End => Part::End,
        };
        Ok(())
    }

    fn put_row(&mut self, view: &View, after: Option<&RowId>, out: &mut BytesMut) -> Part {
        let tables = &view.tables;
        let next = tables.next(after).and_then(|id| tables.record(&id).map(|record| (id, record)));
        let Some((id, record)) = next else { return Part::Trailer };
        put_row(out, &id, &record);
        self.rows += 1;
        Part::Rows(Some(id))
    }

    fn put_entries(
        &mut self,
        view: &View,
        after: Option<Bytes>,
        out: &mut BytesMut,
    ) -> Result<Part> {
        let bytes = SNAPSHOT_CHUNK_BYTES.saturating_sub(out.len());
        let request = PageRequest {
            range: (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded),
            order: Order::Forward,
            limits: PageLimits { entries: PAGE_ENTRIES, bytes },
            keys_only: false,
        };
        let page = view.page(&request)?;
        for (key, record) in &page.items {
            put_entry(out, key, record);
        }
        self.entries += page.items.len() as u64;
        Ok(match page.items.last() {
            Some((last, _)) if page.more => Part::Entries(Some(last.clone())),
            Some(_) | None => Part::Rows(None),
        })
    }
}
