//! `ViewSource` sends a pinned view as a snapshot stream.
//!
//! `ViewCursor` is where it stands, for those who borrow their view anew for each step.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::Result;
use crate::raft::{SNAPSHOT_CHUNK_BYTES, SnapshotMeta, SnapshotSource};
use crate::storage::resend::{Resend, Sent};
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

/// Reads a view chunk by chunk. One that is dropped before it is settled may be sent again.
pub(super) struct ViewSource {
    sent: Arc<Sent>,
    resend: Arc<Resend>,
    is_again: bool,
    cursor: ViewCursor,
    /// How many bytes the cursor has given.
    at: u64,
    /// The end of a chunk whose start was skipped.
    rest: Option<Bytes>,
    is_settled: bool,
}

/// Where a stream of a view stands, without a cursor of the disk that outlives a call.
#[derive(Clone)]
pub(crate) struct ViewCursor {
    next: Part,
    entries: u64,
    rows: u64,
    crc: u32,
}

/// Where the stream goes on.
#[derive(Clone)]
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
    pub(super) const fn new(sent: Arc<Sent>, resend: Arc<Resend>, is_again: bool) -> Self {
        let cursor = ViewCursor::new();
        Self { sent, resend, is_again, cursor, at: 0, rest: None, is_settled: false }
    }

    pub(super) fn meta(&self) -> SnapshotMeta {
        self.sent.view.snapshot_meta()
    }

    fn read(&mut self) -> io::Result<Option<Bytes>> {
        let chunk = self.cursor.next_chunk(&self.sent.view).map_err(io::Error::other)?;
        if let Some(chunk) = &chunk {
            self.at += chunk.len() as u64;
            self.sent.mark(self.at, &self.cursor);
        }
        Ok(chunk)
    }
}

impl SnapshotSource for ViewSource {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        self.read()
    }

    fn is_sent_again(&self) -> bool {
        self.is_again
    }

    fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        (self.at, self.cursor) = self.sent.mark_upto(bytes);
        self.rest = None;
        while self.at < bytes {
            let Some(chunk) = self.read()? else { return Ok(false) };
            let over = usize::try_from(self.at.saturating_sub(bytes)).unwrap_or(usize::MAX);
            if over > 0 {
                self.rest = Some(chunk.slice(chunk.len().saturating_sub(over)..));
            }
        }
        Ok(true)
    }

    fn settle(&mut self) {
        self.is_settled = true;
        self.resend.let_go_of(&self.sent);
    }
}

impl Drop for ViewSource {
    fn drop(&mut self) {
        if !self.is_settled {
            self.resend.keep(&self.sent, self.at);
        }
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
