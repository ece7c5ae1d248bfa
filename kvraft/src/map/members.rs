//! The membership: who votes, who leads, who goes. Any member takes these calls, and any client.

use std::time::Duration;

use super::ReplicatedMap;
use crate::error::Result;
use crate::options::MembershipChange;

/// How long a change of the membership may take: several elections and commits.
const PATIENCE: Duration = Duration::from_secs(30);

impl ReplicatedMap {
    /// Gives a learner its vote, once it has caught up. Nothing changes if it has one.
    ///
    /// A node that joins is promoted by itself unless it was told not to
    /// ([`auto_promote`](crate::Config::auto_promote)).
    ///
    /// # Errors
    /// `Refused` for an unknown name, a learner that has not caught up, a change under way or one
    /// that would lose the quorum: the text says which. `Unavailable` if nothing was changed in
    /// 30 s, `Indeterminate` if the change may go on; asking again is safe.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the change back.
    pub async fn promote(&self, name: impl Into<String>) -> Result<()> {
        self.change_members(MembershipChange::Promote { name: name.into() }).await
    }

    /// Takes a voter its vote; it goes on to replicate as a learner. A leader hands over first.
    /// Nothing changes if it is a learner.
    ///
    /// # Errors
    /// As [`promote`](Self::promote); `Refused` for the only voter.
    ///
    /// # Cancel safety
    /// As [`promote`](Self::promote).
    pub async fn demote(&self, name: impl Into<String>) -> Result<()> {
        self.change_members(MembershipChange::Demote { name: name.into() }).await
    }

    /// Lets a member go, voter or learner, dead or alive. A leader hands over first. The node
    /// notices, and refuses all calls from then on.
    ///
    /// # Errors
    /// As [`demote`](Self::demote).
    ///
    /// # Cancel safety
    /// As [`promote`](Self::promote).
    pub async fn remove_member(&self, name: impl Into<String>) -> Result<()> {
        self.change_members(MembershipChange::Remove { name: name.into() }).await
    }

    /// Has another voter lead: the one of this name, or the one that is closest to the leader. It
    /// takes no new writes for the moment that this takes, and no write fails for it.
    ///
    /// # Errors
    /// As [`promote`](Self::promote); `Refused` for a learner, or without another voter;
    /// `Unavailable` if the voter did not take over in time.
    ///
    /// # Cancel safety
    /// As [`promote`](Self::promote).
    pub async fn transfer_leadership(&self, to: Option<&str>) -> Result<()> {
        let to = to.map(str::to_owned);
        self.change_members(MembershipChange::Transfer { to }).await
    }

    /// Lets voters go, one safe step after the other, until so many are left: those whose names
    /// come last go first, and leadership moves to one that stays. [`status`](Self::status) shows
    /// how far it is; asking again goes on.
    ///
    /// # Errors
    /// As [`demote`](Self::demote); `InvalidArgument` for 0.
    ///
    /// # Cancel safety
    /// As [`promote`](Self::promote).
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// # map.wait_ready(std::time::Duration::from_secs(10)).await?;
    /// // One voter is what there is.
    /// map.shrink(1).await?;
    /// assert_eq!(map.status().members.len(), 1);
    /// assert!(map.remove_member("nobody").await.is_err());
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn shrink(&self, voters: u32) -> Result<()> {
        self.change_members(MembershipChange::Shrink { voters }).await
    }

    async fn change_members(&self, change: MembershipChange) -> Result<()> {
        self.place.change_members(change, self.deadline(Some(PATIENCE))).await
    }
}
