//! Locks: one holder at a time, in the order of arrival, each with a token that only grows.

use std::future::{Future, pending};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;

use super::ReplicatedMap;
use super::lease::Lease;
use super::write::unexpected;
use crate::command::{Command, MAX_NAME_BYTES, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::options::{LeaseId, WriteOptions};

impl ReplicatedMap {
    /// Takes the lock `name`, 1 to 255 bytes, and waits for it as long as for any call
    /// (`request_timeout`); who waits gets it in the order of arrival.
    ///
    /// The lock has a lease of its own with the time to live `ttl`, which is kept alive for as long
    /// as the returned guard lives. When the holder's process dies, the next one gets the lock once
    /// `ttl` is over.
    ///
    /// A holder that was paused may believe to hold a lock that is another's by now. So whatever
    /// the lock protects must refuse a smaller *fencing token* than the largest it has seen:
    ///
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// # use std::time::Duration;
    /// /// A store that takes no writes from former holders.
    /// struct Store { largest: u64, text: String }
    /// impl Store {
    ///     fn write(&mut self, token: u64, text: &str) -> bool {
    ///         let fresh = token >= self.largest;
    ///         if fresh {
    ///             self.largest = token;
    ///             self.text = text.to_owned();
    ///         }
    ///         fresh
    ///     }
    /// }
    /// let mut store = Store { largest: 0, text: String::new() };
    ///
    /// let first = map.lock("report", Duration::from_secs(10)).await?;
    /// let old_token = first.token();
    /// first.unlock().await?;
    /// let second = map.lock("report", Duration::from_secs(10)).await?;
    /// assert!(store.write(second.token(), "second"));
    /// assert!(!store.write(old_token, "late"));
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// `Refused` if others held it all the time; as [`lease`](Self::lease); `InvalidArgument` for
    /// a name of 0 or over 255 bytes; `Overloaded` if 4096 wait already; `Expired` if this process
    /// could not keep its lease alive while it waited.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place in the queue, or the lock, back.
    pub async fn lock(&self, name: impl AsRef<[u8]>, ttl: Duration) -> Result<Lock> {
        self.lock_within(name, ttl, self.place.request_timeout()).await
    }

    /// Takes a lock as [`lock`](Self::lock), and waits for at most `timeout`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    pub async fn lock_within(
        &self,
        name: impl AsRef<[u8]>,
        ttl: Duration,
        timeout: Duration,
    ) -> Result<Lock> {
        let name = checked_name(name.as_ref())?;
        let (map, deadline) = (self.clone(), self.deadline(Some(timeout)));
        let taking = async move { map.guard(name, ttl, true, deadline).await };
        self.place.run(taking.boxed()).await
    }

    /// Takes a lock if it is free; returns `None` if it is held.
    ///
    /// # Errors
    /// As [`lock`](Self::lock), without `Refused`.
    ///
    /// # Cancel safety
    /// As [`lock`](Self::lock).
    pub async fn try_lock(&self, name: impl AsRef<[u8]>, ttl: Duration) -> Result<Option<Lock>> {
        let name = checked_name(name.as_ref())?;
        let (map, deadline) = (self.clone(), self.deadline(None));
        let taking = async move { map.guard(name, ttl, false, deadline).await };
        match self.place.run(taking.boxed()).await {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == ErrorKind::Refused => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a lock for a lease that the caller keeps alive, and returns the fencing token; the
    /// holder gets its token again. Waits for at most `timeout`; zero does not wait at all.
    ///
    /// # Errors
    /// As [`lock`](Self::lock); `Expired` if the lease has ended.
    ///
    /// # Cancel safety
    /// The lease may hold the lock or wait for it, until it ends or [`release`](Self::release)s it.
    pub async fn acquire(
        &self,
        name: impl AsRef<[u8]>,
        lease: LeaseId,
        timeout: Duration,
    ) -> Result<u64> {
        self.acquire_unless(name, lease, timeout, pending()).await
    }

    /// Takes a lock as [`acquire`](Self::acquire), but gives up the wait for it, and the place in
    /// the queue, as soon as `stop` is done: for a caller that has to end in good order.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); `Unavailable` if `stop` came first. The lease does not wait
    /// any more then.
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use std::time::Duration;
    ///
    /// let ten_seconds = Duration::from_secs(10);
    /// let _held = map.lock("report", ten_seconds).await?;
    /// let lease = map.grant_lease(ten_seconds).await?;
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// drop(stop);
    /// let waiting = map.acquire_unless("report", lease, ten_seconds, async { drop(stopped.await) });
    /// assert_eq!(waiting.await.unwrap_err().kind(), kvraft::ErrorKind::Unavailable);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn acquire_unless(
        &self,
        name: impl AsRef<[u8]>,
        lease: LeaseId,
        timeout: Duration,
        stop: impl Future<Output = ()>,
    ) -> Result<u64> {
        let name = checked_name(name.as_ref())?;
        let until = (!timeout.is_zero()).then(|| self.deadline(Some(timeout)));
        let taken = self.take(&name, lease, until, stop).await;
        if taken.is_err()
            && until.is_some()
            && let Err(error) = self.release(&name, lease).await
            && error.kind() != ErrorKind::Expired
        {
            // Who has given up must not get it later: the caller learns that it still may.
            return Err(error);
        }
        taken
    }

    /// Gives a lock back, or the place in its queue, that a lease has.
    ///
    /// # Errors
    /// As [`delete`](Self::delete); `Expired` if the lease neither holds the lock nor waits for it.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the release back.
    pub async fn release(&self, name: impl AsRef<[u8]>, lease: LeaseId) -> Result<()> {
        let name = checked_name(name.as_ref())?;
        let command = Command::Unlock { name, lease: lease.number() };
        let outcome = self.propose(command, WriteOptions::new()).await?;
        if outcome == Outcome::Done { Ok(()) } else { Err(unexpected(&outcome)) }
    }

    /// Takes a lock; waits for it until then, or until `stop` is done, if it may wait at all.
    async fn take(
        &self,
        name: &Bytes,
        lease: LeaseId,
        until: Option<Instant>,
        stop: impl Future<Output = ()>,
    ) -> Result<u64> {
        let wait = until.is_some();
        let command = Command::Lock { name: name.clone(), lease: lease.number(), wait };
        let outcome = self.place.propose(command, self.deadline(None)).await?;
        if let Outcome::Locked { token } = outcome {
            return Ok(token);
        }
        let (Outcome::Queued { revision, .. }, Some(until)) = (&outcome, until) else {
            return Err(unexpected(&outcome));
        };
        // Only from here on: what is under way to the cluster could not be given back.
        tokio::select! {
            turn = self.place.await_lock(name.clone(), lease, *revision, until) => turn,
            () = stop => Err(Error::unavailable("the wait for the lock was given up")),
        }
    }

    /// Takes a lock for a lease of its own. The guard is there before the lock is: whatever goes
    /// wrong, or if nobody waits any more, it gives back what was taken.
    async fn guard(
        &self,
        name: Bytes,
        ttl: Duration,
        wait: bool,
        deadline: Instant,
    ) -> Result<Lock> {
        let mut lock = Lock { name, lease: self.lease(ttl).await?, token: 0 };
        let until = wait.then_some(deadline);
        lock.token = self.take(&lock.name, lock.lease.id(), until, pending()).await?;
        // The news of the lock may be old: it counts only while its lease certainly lives.
        if lock.is_held() { Ok(lock) } else { Err(lock.lease.id().ended()) }
    }
}

/// A lock that is held for as long as this lives; see [`ReplicatedMap::lock`].
///
/// Dropping it gives the lock back in the background.
#[derive(Debug)]
pub struct Lock {
    name: Bytes,
    lease: Lease,
    token: u64,
}

impl Lock {
    /// Returns the fencing token: larger than that of every earlier holder of this name.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.token
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &Bytes {
        &self.name
    }

    /// Returns the lease that the lock ends with.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Returns whether the lock is certainly still held, as [`Lease::is_alive`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lease.is_alive()
    }

    /// Returns once the lock may be another's, as [`Lease::ended`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn lost(&self) {
        self.lease.ended().await;
    }

    /// Gives the lock back, and returns when the next one may have it.
    ///
    /// # Errors
    /// As [`ReplicatedMap::release`]: `Expired` if it was lost before.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the release back.
    pub async fn unlock(self) -> Result<()> {
        let (map, name, id) = (self.lease.map().clone(), self.name.clone(), self.lease.id());
        let released = map.release(&name, id).await;
        // Its lease goes with it, in the background.
        drop(self);
        released
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.lease.give_back();
    }
}

fn checked_name(name: &[u8]) -> Result<Bytes> {
    match name.len() {
        1..=MAX_NAME_BYTES => Ok(Bytes::copy_from_slice(name)),
        len => Err(Error::invalid(format!(
            "the name of the lock has {len} bytes; it has 1 to {MAX_NAME_BYTES}"
        ))),
    }
}
