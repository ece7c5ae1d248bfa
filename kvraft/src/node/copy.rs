//! `Copying` gives one moment of the state out chunk by chunk while the node works on.
//!
//! It holds a view for much longer than a scan does. What that costs: LMDB takes no page again that
//! was freed since, so that the state file grows by what checkpoints write meanwhile, and the write
//! buffer of that moment stays in memory. Both end with the copy, and after [`PATIENCE`] at last, or
//! after so long without a chunk if a member needs the copy, at whatever rate it may leave.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::core::Core;
use super::door::blocking;
use super::lent::Lent;
use crate::error::{Error, Result};
use crate::runtime::run_on;
use crate::storage::{View, ViewWriter};

/// How long a copy may hold on to its moment: 64 GiB, the most that anyone should keep here, at
/// 18 MB/s.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
const ADVICE: &str = "read it faster, such as into a file beside the node";

/// A copy that is under way.
pub(crate) struct Copying<W> {
    handle: Handle,
    view: Lent,
    /// Gone at the end, and after a step that was not waited for.
    writer: Option<W>,
    is_renewed: bool,
    _permit: OwnedSemaphorePermit,
}

impl<W: ViewWriter> Copying<W> {
    pub(super) fn new(
        core: &Arc<Core>,
        handle: &Handle,
        view: Arc<View>,
        writer: W,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let view = Lent::new(core, handle, view, (PATIENCE, ADVICE));
        Self {
            handle: handle.clone(),
            view,
            writer: Some(writer),
            is_renewed: false,
            _permit: permit,
        }
    }

    /// Holds on to its moment for as long as somebody takes chunks.
    pub(super) const fn renewed_by_each_chunk(mut self) -> Self {
        self.is_renewed = true;
        self
    }

    /// Returns the next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        if self.is_renewed {
            self.view.renew();
        }
        let view = self.view.view()?;
        let step = blocking(move || Ok((writer.next_chunk(&view)?, writer)));
        let (chunk, writer) = run_on(&self.handle, step).await?;
        self.writer = chunk.is_some().then_some(writer);
        Ok(chunk)
    }
}

/// Takes one of the few places for copies of a kind, such as "2 backups".
pub(super) fn place(places: &Arc<Semaphore>, most: &str) -> Result<OwnedSemaphorePermit> {
    Arc::clone(places)
        .try_acquire_owned()
        .map_err(|_| Error::overloaded(format!("{most} are under way here; try again later")))
}
