//! A watch on this node: it follows the changes that are applied here, whoever leads.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::core::Core;
use super::lent::Lent;
use super::life::Life;
use crate::command::KeyRange;
use crate::error::{Error, Result};
use crate::storage::{Batch, Watcher};

/// Follows a range; it ends with the node, which it does not keep open.
#[derive(Debug)]
pub(crate) struct Follower {
    core: Weak<Core>,
    life: Arc<Life>,
    handle: tokio::runtime::Handle,
    watcher: Watcher,
}

impl Follower {
    pub(super) fn new(
        core: &Arc<Core>,
        handle: &tokio::runtime::Handle,
        range: KeyRange,
        from: Option<u64>,
    ) -> Result<Self> {
        let watcher = core.state.watch(range, from)?;
        let life = Arc::clone(&core.life);
        Ok(Self { core: Arc::downgrade(core), life, handle: handle.clone(), watcher })
    }

    /// Waits for changes.
    ///
    /// Safe to cancel: what was not returned is read again.
    ///
    /// # Errors
    /// `Compacted` if changes were missed, the error that ended the node if one did.
    pub(crate) async fn next(&self) -> Result<Batch> {
        loop {
            self.life.check()?;
            let batch = self.watcher.read()?;
            if !batch.revisions.is_empty() {
                return Ok(batch);
            }
            if batch.more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.watcher.changed() => {}
                why = self.life.ended() => return Err(why),
            }
        }
    }

    /// Begins again from what is there now: returns a view, and follows what comes after it.
    pub(crate) fn begin_again(&self, patience: Duration) -> Result<(Lent, u64)> {
        self.life.check()?;
        let core =
            self.core.upgrade().ok_or_else(|| Error::closed("the map is closed; open it again"))?;
        // First the place in the changes, then a view that is not older: none falls between.
        self.watcher.restart();
        let view = core.view();
        let revision = view.revision();
        self.watcher.skip_to(revision + 1);
        Ok((Lent::new(&core, &self.handle, view, patience), revision))
    }
}
