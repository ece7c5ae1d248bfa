//! The membership, for threads without an executor.

use futures_executor::block_on;

use super::ReplicatedMap;
use crate::error::Result;

impl ReplicatedMap {
    /// Gives a learner its vote.
    ///
    /// # Errors
    /// As [`ReplicatedMap::promote`](crate::ReplicatedMap::promote).
    pub fn promote(&self, name: impl Into<String>) -> Result<()> {
        block_on(self.0.promote(name))
    }

    /// Takes a voter its vote.
    ///
    /// # Errors
    /// As [`ReplicatedMap::demote`](crate::ReplicatedMap::demote).
    pub fn demote(&self, name: impl Into<String>) -> Result<()> {
        block_on(self.0.demote(name))
    }

    /// Lets a member go.
    ///
    /// # Errors
    /// As [`ReplicatedMap::remove_member`](crate::ReplicatedMap::remove_member).
    pub fn remove_member(&self, name: impl Into<String>) -> Result<()> {
        block_on(self.0.remove_member(name))
    }

    /// Has another voter lead.
    ///
    /// # Errors
    /// As [`ReplicatedMap::transfer_leadership`](crate::ReplicatedMap::transfer_leadership).
    pub fn transfer_leadership(&self, to: Option<&str>) -> Result<()> {
        block_on(self.0.transfer_leadership(to))
    }

    /// Lets voters go until so many are left.
    ///
    /// # Errors
    /// As [`ReplicatedMap::shrink`](crate::ReplicatedMap::shrink).
    pub fn shrink(&self, voters: u32) -> Result<()> {
        block_on(self.0.shrink(voters))
    }
}
