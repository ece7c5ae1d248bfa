//! `Lease` is a lease that is kept alive, for threads without an executor.

use std::time::Duration;

use futures_executor::block_on;

use super::wait::within;
use crate::error::Result;
use crate::options::LeaseId;

/// The blocking twin of [`Lease`](crate::Lease): a lease that is kept alive for as long as this
/// lives.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path()))?;
/// use std::time::Duration;
/// use kvraft::WriteOptions;
///
/// let lease = map.lease(Duration::from_secs(10))?;
/// map.put_with("workers/7", "busy", WriteOptions::new().lease(lease.id()))?;
/// assert!(!lease.ended(Duration::from_millis(1)) && lease.is_alive());
/// lease.revoke()?;
/// assert_eq!(map.get("workers/7")?, None);
/// # Ok::<(), kvraft::Error>(())
/// ```
#[derive(Debug)]
pub struct Lease(pub(super) crate::Lease);

impl Lease {
    /// Returns the id, for [`WriteOptions::lease`](crate::WriteOptions::lease).
    #[must_use]
    pub const fn id(&self) -> LeaseId {
        self.0.id()
    }

    /// Returns the time to live.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.0.ttl()
    }

    /// Returns whether the lease is certainly still there; see
    /// [`Lease::is_alive`](crate::Lease::is_alive).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    /// Waits until the lease may have ended, but no longer than `timeout`; returns whether it may.
    #[must_use]
    pub fn ended(&self, timeout: Duration) -> bool {
        within(timeout, self.0.ended()).is_some()
    }

    /// Ends the lease now.
    ///
    /// # Errors
    /// As [`Lease::revoke`](crate::Lease::revoke).
    pub fn revoke(self) -> Result<()> {
        block_on(self.0.revoke())
    }
}
