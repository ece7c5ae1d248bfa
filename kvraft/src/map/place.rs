//! `Place` is where a map lives: on a member in this process, or with members that it asks.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::{self, Client};
use crate::command::{Command, Outcome};
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use crate::node::{self, Node};
use crate::options::{
    BackupInfo, Changes, Entry, KeyRange, LeaseId, LeaseInfo, MembershipChange, Page, ReadOptions,
    ScanOptions, Verification,
};
use crate::status::Status;

/// What does the work of a map.
#[derive(Clone)]
pub(super) enum Place {
    /// This process is a member.
    Member(Arc<Node>),
    /// This process asks members.
    Client(Arc<Client>),
}

/// A [`Place`] that is not kept open.
#[derive(Clone)]
pub(super) enum WeakPlace {
    Member(Weak<Node>),
    Client(Weak<Client>),
}

/// A range of one moment, step by step.
pub(super) enum Walk {
    Member(Box<node::Walk>),
    Client(Box<client::Walk>),
}

/// A backup, chunk by chunk.
pub(super) enum Backup {
    Member(Box<node::Backup>),
    Client(Box<client::Backup>),
}

/// The changes of a range, as they come.
pub(super) enum Follower {
    Member(Box<node::Follower>),
    Client(Box<client::Follower>),
}

/// Has the place do something that both kinds do by the same name.
macro_rules! at {
    ($place:expr, $at:ident => $work:expr) => {
        match $place {
            Self::Member($at) => $work,
            Self::Client($at) => $work,
        }
    };
}

impl Place {
    pub(super) fn downgrade(&self) -> WeakPlace {
        match self {
            Self::Member(node) => WeakPlace::Member(Arc::downgrade(node)),
            Self::Client(client) => WeakPlace::Client(Arc::downgrade(client)),
        }
    }

    pub(super) fn name(&self) -> &str {
        at!(self, place => place.name())
    }

    pub(super) fn now(&self) -> Instant {
        at!(self, place => place.now())
    }

    pub(super) fn request_timeout(&self) -> Duration {
        at!(self, place => place.request_timeout())
    }

    pub(super) fn max_value_bytes(&self) -> Result<usize> {
        at!(self, place => place.max_value_bytes())
    }

    pub(super) fn max_command_bytes(&self) -> Result<usize> {
        at!(self, place => place.max_command_bytes())
    }

    pub(super) fn status(&self) -> Status {
        at!(self, place => place.status())
    }

    /// A client keeps no counts.
    pub(super) fn metrics(&self) -> Result<Metrics> {
        match self {
            Self::Member(node) => node.metrics(),
            Self::Client(client) => client.check().map(|()| Metrics::default()),
        }
    }

    /// Runs `work` on threads of the library; it ends by itself, or with them.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        at!(self, place => place.spawn(work));
    }

    /// Runs `work` on threads of the library; a caller that goes away ends it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        at!(self, place => place.run(work).await)
    }

    /// Has `command` applied exactly once. The command goes on if the caller goes away.
    pub(super) async fn propose(&self, command: Command, deadline: Instant) -> Result<Outcome> {
        at!(self, place => place.propose(command, deadline).await)
    }

    /// Has the leader change the membership. The change goes on if the caller goes away.
    pub(super) async fn change_members(
        &self,
        change: MembershipChange,
        deadline: Instant,
    ) -> Result<()> {
        at!(self, place => place.change_members(change, deadline).await)
    }

    pub(super) async fn get(
        &self,
        key: &[u8],
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<Option<Entry>> {
        at!(self, place => place.get(key, read, deadline).await)
    }

    pub(super) async fn page(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Page> {
        at!(self, place => place.page(range, options, deadline).await)
    }

    pub(super) async fn count(
        &self,
        range: KeyRange,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<u64> {
        at!(self, place => place.count(range, read, deadline).await)
    }

    pub(super) async fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
        deadline: Instant,
    ) -> Result<Walk> {
        Ok(match self {
            Self::Member(node) => Walk::Member(node.scan(range, options, deadline).await?.into()),
            Self::Client(client) => {
                Walk::Client(client.scan(range, options, deadline).await?.into())
            }
        })
    }

    /// Begins a backup of one moment.
    pub(super) async fn backup(&self, read: ReadOptions, deadline: Instant) -> Result<Backup> {
        Ok(match self {
            Self::Member(node) => Backup::Member(node.backup(read, deadline).await?.into()),
            Self::Client(client) => Backup::Client(client.backup(read, deadline).await?.into()),
        })
    }

    /// Has all members sample their states, and compares them.
    pub(super) async fn verify(&self, deadline: Instant) -> Result<Verification> {
        at!(self, place => place.verify(deadline).await)
    }

    /// Has the state of this member fetched anew.
    pub(super) async fn refill(&self, deadline: Instant) -> Result<()> {
        match self {
            Self::Member(node) => node.refill(deadline).await,
            Self::Client(client) => client.check().and_then(|()| {
                Err(Error::refused(
                    "a client has no state that could be fetched anew: ask the member itself, such as over HTTP",
                ))
            }),
        }
    }

    pub(super) async fn lease_info(
        &self,
        lease: LeaseId,
        read: ReadOptions,
        deadline: Instant,
    ) -> Result<LeaseInfo> {
        at!(self, place => place.lease_info(lease, read, deadline).await)
    }

    /// Waits until a lease holds a lock, and returns its fencing token.
    pub(super) async fn await_lock(
        &self,
        name: Bytes,
        lease: LeaseId,
        revision: u64,
        deadline: Instant,
    ) -> Result<u64> {
        at!(self, place => place.await_lock(name, lease, revision, deadline).await)
    }

    /// Follows the changes of a range, from a revision on or from now.
    pub(super) async fn follow(
        &self,
        range: KeyRange,
        from: Option<u64>,
        previous: bool,
        deadline: Instant,
    ) -> Result<Follower> {
        Ok(match self {
            Self::Member(node) => Follower::Member(node.follow(range, from, previous)?.into()),
            Self::Client(client) => {
                Follower::Client(client.follow(range, from, previous, deadline).await?.into())
            }
        })
    }

    /// Waits until the map can serve, or never will.
    pub(super) async fn wait_ready(&self, deadline: Instant) -> Result<()> {
        at!(self, place => place.wait_ready(deadline).await)
    }

    pub(super) async fn close(&self) -> Result<()> {
        at!(self, place => place.close().await)
    }
}

impl WeakPlace {
    pub(super) fn upgrade(&self) -> Option<Place> {
        match self {
            Self::Member(node) => node.upgrade().map(Place::Member),
            Self::Client(client) => client.upgrade().map(Place::Client),
        }
    }
}

impl Backup {
    pub(super) fn info(&self) -> &BackupInfo {
        at!(self, backup => backup.info())
    }

    /// Returns the next chunk; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>> {
        at!(self, backup => backup.next().await)
    }
}

impl Walk {
    /// Returns the last revision that was applied at its moment.
    pub(super) fn revision(&self) -> u64 {
        at!(self, walk => walk.revision())
    }

    /// Returns the next entries; none at the end.
    pub(super) async fn step(&mut self) -> Result<Vec<Entry>> {
        match self {
            Self::Member(walk) => walk.step(),
            Self::Client(walk) => walk.step().await,
        }
    }
}

impl Follower {
    /// Waits for changes.
    pub(super) async fn next(&mut self) -> Result<Changes> {
        at!(self, follower => follower.next().await)
    }

    /// Begins again from what is there now: returns its entries, and follows what comes after them.
    pub(super) async fn begin_again(&mut self) -> Result<Walk> {
        Ok(match self {
            Self::Member(follower) => Walk::Member(follower.begin_again()?.into()),
            Self::Client(follower) => Walk::Client(follower.begin_again().await?.into()),
        })
    }
}
