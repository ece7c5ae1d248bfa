//! `Backup` copies one moment of a member's, chunk by chunk.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::ask::{is_everywhere, unanswered};
use super::core::{Core, closed};
use crate::error::{Error, Result};
use crate::options::{BackupInfo, ReadOptions};
use crate::proposal::Backoff;
use crate::runtime::run_on;
use crate::transport::{Answer, Exchange, Query};

/// How long a member may take for one chunk: 64 MiB over a slow network.
const STEP_PATIENCE: Duration = Duration::from_secs(60);

/// A backup that is under way at one member.
pub(crate) struct Backup {
    core: Weak<Core>,
    handle: Handle,
    info: BackupInfo,
    /// `None` at the end, and after a step that was not waited for.
    exchange: Option<Exchange>,
    _permit: OwnedSemaphorePermit,
}

impl Backup {
    /// Has a member begin; asks one after the other.
    pub(super) async fn begin(
        core: &Arc<Core>,
        handle: Handle,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<Self> {
        let (permit, query) = (core.wait_permit()?, Query::Backup { read });
        let mut backoff = Backoff::new();
        loop {
            let peer = core.guide.home()?;
            let patience = core.patience(deadline);
            let begun =
                core.transport.exchange(&peer, query.for_at_most(patience), core.now() + patience);
            let error = match begun.await {
                Ok((exchange, Answer::Backup(info))) => {
                    let (core, exchange) = (Arc::downgrade(core), Some(exchange));
                    return Ok(Self { core, handle, info, exchange, _permit: permit });
                }
                Ok((_, other)) => super::misfit(&other),
                Err(error) if is_everywhere(error.kind()) => return Err(error),
                Err(error) => error,
            };
            core.guide.pass(&peer, &error);
            if !backoff.pause(deadline, core.now()).await {
                return Err(unanswered(error));
            }
        }
    }

    pub(crate) const fn info(&self) -> &BackupInfo {
        &self.info
    }

    /// Returns the next chunk; `None` at the end.
    ///
    /// # Errors
    /// `Unavailable` if the member is lost: no other has the same moment. `Compacted` if the member
    /// gave the moment up. `Closed` with the client.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(mut exchange) = self.exchange.take() else { return Ok(None) };
        let core = self.core.upgrade().ok_or_else(closed)?;
        let asked = run_on(&self.handle, async move {
            let next = async {
                let answer = tokio::time::timeout(STEP_PATIENCE, exchange.next()).await;
                answer
                    .unwrap_or_else(|_| Err(Error::unavailable("the member does not go on")))
                    .map_err(|error| if is_everywhere(error.kind()) { error } else { lost(&error) })
            };
            let answer = core.while_open(next).await?;
            Ok((exchange, answer))
        });
        let (exchange, answer) = asked.await?;
        let Answer::Chunk(chunk) = answer else { return Err(super::misfit(&answer)) };
        if chunk.is_empty() {
            return Ok(None);
        }
        self.exchange = Some(exchange);
        Ok(Some(chunk))
    }
}

fn lost(error: &Error) -> Error {
    Error::unavailable(format!(
        "the backup lost the member that held its moment ({error}); begin it again"
    ))
}
