//! Leases: spans of led time that keys and locks end with.

use std::time::Duration;

use tokio::sync::watch;

use super::ReplicatedMap;
use super::keeper::Kept;
use super::write::unexpected;
use crate::command::{Command, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{LeaseId, LeaseInfo, ReadOptions, WriteOptions, checked_ttl};

impl ReplicatedMap {
    /// Grants a lease and keeps it alive for as long as the returned handle lives.
    ///
    /// A lease ends once it was not kept alive for `ttl`, 100 ms to ten years, counted in *led
    /// time*: a clock that steps, a pause or an outage may lengthen it, never shorten it. It ends
    /// at most a second later; each change of leader adds the time without one and at most another
    /// second. Then its keys are gone, and its locks are free.
    ///
    /// # Errors
    /// As [`put`](Self::put); `InvalidArgument` for another `ttl`, `Overloaded` if the cluster has
    /// 1,048,576 leases.
    ///
    /// # Cancel safety
    /// A lease whose handle is never seen ends by its time.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use std::time::Duration;
    /// use kvraft::WriteOptions;
    ///
    /// // This worker is known for as long as it lives.
    /// let lease = map.lease(Duration::from_secs(10)).await?;
    /// map.put_with("workers/7", "busy", WriteOptions::new().lease(lease.id())).await?;
    /// assert!(lease.is_alive());
    /// lease.revoke().await?;
    /// assert_eq!(map.get("workers/7").await?, None);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn lease(&self, ttl: Duration) -> Result<Lease> {
        let asked = self.place.now();
        let id = self.grant_lease(ttl).await?;
        let kept = self.keeper.keep(&self.place, id, ttl, asked);
        Ok(Lease { map: self.clone(), id, ttl, kept })
    }

    /// Grants a lease that only [`keep_alive`](Self::keep_alive) keeps alive.
    ///
    /// # Errors
    /// As [`lease`](Self::lease).
    ///
    /// # Cancel safety
    /// As [`lease`](Self::lease).
    pub async fn grant_lease(&self, ttl: Duration) -> Result<LeaseId> {
        let command = Command::GrantLease { ttl_ms: checked_ttl(ttl)? };
        let outcome = self.propose(command, WriteOptions::new()).await?;
        let Outcome::LeaseGranted { lease } = outcome else { return Err(unexpected(&outcome)) };
        LeaseId::of(lease).ok_or_else(|| Error::internal("a lease with the number 0 was granted"))
    }

    /// Begins the time to live of a lease anew.
    ///
    /// # Errors
    /// As [`put`](Self::put), without `Full`; `Expired` if the lease has ended.
    ///
    /// # Cancel safety
    /// Safe: keeping a lease alive twice is keeping it alive once.
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<()> {
        let command = Command::KeepAlive { leases: vec![lease.number()] };
        let outcome = self.propose(command, WriteOptions::new()).await?;
        let Outcome::KeptAlive { gone } = outcome else { return Err(unexpected(&outcome)) };
        if gone.is_empty() { Ok(()) } else { Err(lease.ended()) }
    }

    /// Ends a lease now: its keys are gone and its locks are free when this returns.
    ///
    /// A lease with more than 1024 keys ends at once, but loses its keys in steps of that many.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); `Expired` if the lease has ended before.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the end back; the leader takes what keys are left.
    pub async fn revoke_lease(&self, lease: LeaseId) -> Result<()> {
        let mut begun = false;
        loop {
            let command = Command::RevokeLease { lease: lease.number() };
            let outcome = match self.propose(command, WriteOptions::new()).await {
                // The leader has taken the rest meanwhile.
                Err(error) if begun && error.kind() == ErrorKind::Expired => return Ok(()),
                answered => answered?,
            };
            let Outcome::LeaseRevoked { keys_left } = outcome else {
                return Err(unexpected(&outcome));
            };
            if keys_left == 0 {
                return Ok(());
            }
            begun = true;
        }
    }

    /// Says how long a lease has left, and which keys end with it.
    ///
    /// # Errors
    /// As [`get`](Self::get); `Expired` if the lease has ended.
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn lease_info(&self, lease: LeaseId, options: ReadOptions) -> Result<LeaseInfo> {
        let deadline = self.deadline(options.timeout);
        self.place.lease_info(lease, options, deadline).await
    }
}

/// A lease that is kept alive for as long as this lives; see [`ReplicatedMap::lease`].
///
/// Dropping it lets the lease end by its time; [`revoke`](Self::revoke) ends it now. It is a handle
/// to the map too: the node stays open while it lives.
#[derive(Debug)]
pub struct Lease {
    map: ReplicatedMap,
    id: LeaseId,
    ttl: Duration,
    kept: watch::Receiver<Kept>,
}

impl Lease {
    /// Returns the id, for [`WriteOptions::lease`].
    #[must_use]
    pub const fn id(&self) -> LeaseId {
        self.id
    }

    /// Returns the time to live.
    #[must_use]
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Returns whether the lease is certainly still there: it was kept alive less than its time to
    /// live ago, by the monotonic clock of this process.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match *self.kept.borrow() {
            Kept::Until(until) => self.map.place.now() < until,
            Kept::Gone => false,
        }
    }

    /// Returns once the lease may have ended: it is gone, or could not be kept alive for its time
    /// to live.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) {
        let mut kept = self.kept.clone();
        // The keeper drops its side with the lease.
        drop(kept.wait_for(|kept| matches!(kept, Kept::Gone)).await);
    }

    /// Ends the lease now.
    ///
    /// # Errors
    /// As [`ReplicatedMap::revoke_lease`].
    ///
    /// # Cancel safety
    /// As [`ReplicatedMap::revoke_lease`].
    pub async fn revoke(self) -> Result<()> {
        let map = self.map.clone();
        let id = self.id;
        drop(self);
        map.revoke_lease(id).await
    }

    pub(super) const fn map(&self) -> &ReplicatedMap {
        &self.map
    }

    /// Ends the lease without waiting for it; if that fails, it ends by its time.
    pub(super) fn give_back(&self) {
        let (map, id) = (self.map.clone(), self.id);
        self.map.keeper.forget(id);
        self.map.place.spawn(async move {
            if let Err(error) = map.revoke_lease(id).await {
                tracing::debug!(%id, %error, "a lease ends by its time");
            }
        });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.map.keeper.forget(self.id);
    }
}
