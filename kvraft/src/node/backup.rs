//! `Backup` copies one moment of the map out of a node that works on.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::copy::{Copying, place};
use super::core::Core;
use crate::error::Result;
use crate::options::BackupInfo;
use crate::storage::{BackupWriter, View};

/// Backups of one node at a time: one by hand beside one by clock.
pub(super) const MAX_BACKUPS: usize = 2;

/// A backup that is under way.
pub(crate) struct Backup {
    info: BackupInfo,
    copying: Copying<BackupWriter>,
}

impl Backup {
    pub(super) fn new(core: &Arc<Core>, handle: &Handle, view: &View) -> Result<Self> {
        let permit = place(&core.backups, &format!("{MAX_BACKUPS} backups"))?;
        let view = Arc::new(view.to_be_kept());
        let writer = BackupWriter::new(&view)?;
        let header = writer.header();
        let info = BackupInfo::new(
            header.cluster_id,
            header.revision,
            (header.entries, header.bytes),
            header.wall_ms,
        );
        Ok(Self { info, copying: Copying::new(core, handle, view, writer, permit) })
    }

    pub(crate) const fn info(&self) -> &BackupInfo {
        &self.info
    }

    /// Returns what gives out the chunks, for somebody who has taken note of the rest.
    pub(super) fn into_copying(self) -> Copying<BackupWriter> {
        self.copying
    }

    /// Returns the next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        self.copying.next().await
    }
}
