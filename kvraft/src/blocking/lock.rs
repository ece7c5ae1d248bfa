//! `Lock` is a lock that is held, for threads without an executor.

use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;

use super::wait::within;
use crate::error::Result;

/// The blocking twin of [`Lock`](crate::Lock): a lock that is held for as long as this lives.
///
/// Dropping it gives the lock back in the background.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path()))?;
/// use std::time::Duration;
///
/// let lock = map.lock("report", Duration::from_secs(10))?;
/// assert!(lock.is_held() && lock.token() > 0);
/// lock.unlock()?;
/// # Ok::<(), kvraft::Error>(())
/// ```
#[derive(Debug)]
pub struct Lock(pub(super) crate::Lock);

impl Lock {
    /// Returns the fencing token: larger than that of every earlier holder of this name.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.0.token()
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &Bytes {
        self.0.name()
    }

    /// Returns the lease that the lock ends with; to wait for that, see [`lost`](Self::lost).
    #[must_use]
    pub const fn lease(&self) -> &crate::Lease {
        self.0.lease()
    }

    /// Returns whether the lock is certainly still held; see
    /// [`Lock::is_held`](crate::Lock::is_held).
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.is_held()
    }

    /// Waits until the lock may be another's, but no longer than `timeout`; returns whether it may.
    #[must_use]
    pub fn lost(&self, timeout: Duration) -> bool {
        within(timeout, self.0.lost()).is_some()
    }

    /// Gives the lock back, and returns when the next one may have it.
    ///
    /// # Errors
    /// As [`Lock::unlock`](crate::Lock::unlock).
    pub fn unlock(self) -> Result<()> {
        block_on(self.0.unlock())
    }
}
