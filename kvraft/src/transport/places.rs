//! `Places` is what clients may take of one node, so that members are always let in.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::greeting::{Hello, HelloRole};
use crate::error::{Error, Result};

/// Connections in all; more are refused. A cluster with its clients has far fewer.
pub(super) const MAX_CONNECTIONS: usize = 4096;
/// Peers between their first packet and their hello; more are refused and try again.
pub(super) const MAX_GREETINGS: usize = 256;
/// The rest of the connections is for members, and for those who have not said who they are.
const CLIENT_CONNECTIONS: usize = MAX_CONNECTIONS - 2 * MAX_GREETINGS;
/// Answers that wait for room on their connections: three of the largest, and thousands as they
/// mostly are. Who asks for much and reads nothing of it does not fill the memory.
const UNREAD_KIB: usize = 256 << 10;

pub(super) const LIMITS: Limits =
    Limits { connections: CLIENT_CONNECTIONS, unread_kib: UNREAD_KIB };

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) unread_kib: usize,
}

/// What is left of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    connections: Arc<Semaphore>,
    unread_kib: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections)),
            unread_kib: Arc::new(Semaphore::new(limits.unread_kib)),
        }
    }

    /// Takes a place for the connection of a client; a member needs none.
    pub(super) fn take(&self, peer: &Hello) -> Result<Option<OwnedSemaphorePermit>> {
        if peer.role == HelloRole::Member {
            return Ok(None);
        }
        Arc::clone(&self.connections).try_acquire_owned().map(Some).map_err(|_| {
            Error::overloaded("this node has as many clients as it takes; ask another member")
        })
    }

    /// Takes room for an answer that is about to be sent.
    pub(super) fn room_for(&self, frame: &Bytes) -> Result<SemaphorePermit<'_>> {
        let kib = u32::try_from(frame.len().div_ceil(1024)).unwrap_or(u32::MAX);
        self.unread_kib
            .try_acquire_many(kib)
            .map_err(|_| Error::overloaded("too many answers of this node wait to be read; retry"))
    }
}
