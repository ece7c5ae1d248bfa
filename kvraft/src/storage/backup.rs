//! `BackupWriter` makes a backup of a view: its snapshot stream, in frames that can be checked.

use std::sync::Arc;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::storage::backup_frame::{BackupHeader, FrameWriter};
use crate::storage::session::Sessions;
use crate::storage::snapshot::{ViewCursor, ViewWriter};
use crate::storage::view::View;

/// Writes the backup of one view, chunk by chunk.
pub(crate) struct BackupWriter {
    header: BackupHeader,
    frames: FrameWriter,
    stream: ViewCursor,
    next: Next,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Header,
    Part,
    Nothing,
}

impl View {
    /// Returns what a backup keeps of this view: all but the sessions.
    ///
    /// A session is one process's dealings with this cluster. What it was told after the backup is
    /// not in it, so that it could neither be repeated nor be denied: in a restored cluster every
    /// process opens another session, and what it had sent before is `Indeterminate` to it. The
    /// request ids of users stay: an answer that is remembered stays true.
    #[must_use]
    pub(crate) fn to_be_kept(&self) -> Self {
        let mut kept = self.clone();
        kept.tables.sessions = Sessions::default();
        kept.meta.tables_hash = kept.tables.hash();
        kept
    }
}

impl BackupWriter {
    /// Begins the backup of `view`, which is to be the same at every call of `next_chunk`.
    pub(crate) fn new(view: &View) -> Result<Self> {
        let (Some(founding), Some(applied)) = (view.meta.founding, view.meta.applied) else {
            return Err(Error::unavailable("there is nothing to back up before the cluster is"));
        };
        let header = BackupHeader {
            cluster_id: founding.cluster_id,
            applied,
            revision: view.revision(),
            settings: founding.settings,
            wall_ms: view.meta.wall_ms,
            entries: view.meta.len,
            bytes: view.meta.bytes,
        };
        let (frames, stream) = (FrameWriter::default(), ViewCursor::new());
        Ok(Self { header, frames, stream, next: Next::Header })
    }

    pub(crate) const fn header(&self) -> &BackupHeader {
        &self.header
    }
}

impl ViewWriter for BackupWriter {
    fn next_chunk(&mut self, view: &Arc<View>) -> Result<Option<Bytes>> {
        match self.next {
            Next::Header => {
                self.next = Next::Part;
                Ok(Some(self.frames.begin(&self.header)))
            }
            Next::Part => match self.stream.next_chunk(view)? {
                Some(part) => Ok(Some(self.frames.part(&part))),
                None => {
                    self.next = Next::Nothing;
                    Ok(Some(self.frames.end()))
                }
            },
            Next::Nothing => Ok(None),
        }
    }
}
