//! `Backup` copies one moment of the map out of a node that works on.
//!
//! It holds a view for much longer than a scan does. What that costs: LMDB takes no page again that
//! was freed since, so that the state file grows by what checkpoints write meanwhile, and the write
//! buffer of that moment stays in memory. Both end with the backup, and after [`PATIENCE`] at last.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::core::Core;
use super::door::blocking;
use super::lent::Lent;
use crate::error::{Error, Result};
use crate::options::BackupInfo;
use crate::runtime::run_on;
use crate::storage::{BackupWriter, View};

/// Backups of one node at a time: one by hand beside one by clock.
pub(super) const MAX_BACKUPS: usize = 2;
/// How long a backup may hold on to its moment: 64 GiB, the most that anyone should keep here, at
/// 18 MB/s.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const ADVICE: &str = "read it faster, such as into a file beside the node";

/// A backup that is under way.
pub(crate) struct Backup {
    handle: Handle,
    view: Lent,
    /// Gone at the end, and after a step that was not waited for.
    writer: Option<BackupWriter>,
    info: BackupInfo,
    _permit: OwnedSemaphorePermit,
}

impl Backup {
    pub(super) fn new(core: &Arc<Core>, handle: &Handle, view: &View) -> Result<Self> {
        let permit = Arc::clone(&core.backups).try_acquire_owned().map_err(|_| {
            Error::overloaded(format!("{MAX_BACKUPS} backups are under way here; try again later"))
        })?;
        let view = Arc::new(view.to_be_kept());
        let writer = BackupWriter::new(&view)?;
        let header = writer.header();
        let info = BackupInfo::new(
            header.cluster_id,
            header.revision,
            (header.entries, header.bytes),
            header.wall_ms,
        );
        let view = Lent::new(core, handle, view, (PATIENCE, ADVICE));
        Ok(Self { handle: handle.clone(), view, writer: Some(writer), info, _permit: permit })
    }

    pub(crate) const fn info(&self) -> &BackupInfo {
        &self.info
    }

    /// Returns the next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        let view = self.view.view()?;
        let step = blocking(move || Ok((writer.next_chunk(&view)?, writer)));
        let (chunk, writer) = run_on(&self.handle, step).await?;
        self.writer = chunk.is_some().then_some(writer);
        Ok(chunk)
    }
}
