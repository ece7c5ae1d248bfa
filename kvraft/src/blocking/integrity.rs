//! Whether all members have the same state, for threads without an executor.

use futures_executor::block_on;

use super::ReplicatedMap;
use crate::error::Result;
use crate::options::Verification;

impl ReplicatedMap {
    /// Has every member sample its state at one log entry, and compares them.
    ///
    /// # Errors
    /// As [`ReplicatedMap::verify`](crate::ReplicatedMap::verify).
    pub fn verify(&self) -> Result<Verification> {
        block_on(self.0.verify())
    }

    /// Has this member fetch the state of another one.
    ///
    /// # Errors
    /// As [`ReplicatedMap::refill`](crate::ReplicatedMap::refill).
    pub fn refill(&self) -> Result<()> {
        block_on(self.0.refill())
    }
}
