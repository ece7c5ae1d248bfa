//! What those who operate a cluster ask of a node.

use std::time::Instant;

use super::{Backup, Node};
use crate::error::Result;
use crate::options::{MembershipChange, ReadOptions, Verification};
use crate::proposal;

impl Node {
    /// Has the leader change the membership. The change goes on if the caller goes away.
    pub(crate) async fn change_members(
        &self,
        change: MembershipChange,
        deadline: Instant,
    ) -> Result<()> {
        let core = self.core()?;
        let changing = async move { proposal::change(&*core, change, deadline).await };
        self.runtime.finish(changing).await
    }

    /// Has all members sample their states, and compares them.
    pub(crate) async fn verify(&self, deadline: Instant) -> Result<Verification> {
        let core = self.core()?;
        self.runtime.run(async move { proposal::verify(&*core, deadline).await }).await
    }

    /// Has the state of this node fetched anew. It goes on if the caller goes away.
    pub(crate) async fn refill(&self, deadline: Instant) -> Result<()> {
        let core = self.core()?;
        self.runtime.run(async move { core.refill(deadline).await }).await
    }

    /// Begins a backup of one moment.
    pub(crate) async fn backup(&self, read: ReadOptions, deadline: Instant) -> Result<Backup> {
        let view = self.view(read, deadline).await?;
        Backup::new(&self.core()?, self.runtime.handle()?, &view)
    }
}
