//! A question to any member: asked of one after the other, until one answers.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::options::{LeaseId, ReadOptions};
use crate::proposal::Backoff;
use crate::transport::{Answer, Peer, Query, Request, Response};

/// Of the time that is left, one member gets this part before another is asked.
const PARTS: u32 = 3;
/// What a member gets in any case, up to half of what is left: an election passes in it.
const ENOUGH: Duration = Duration::from_secs(1);
/// What an answer may take beyond the time that its member was given for it.
const MARGIN: Duration = Duration::from_millis(250);
/// One member waits for a lock so long before another is asked: the one may be cut off.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

impl Core {
    /// Asks members until one has answered; what they answer is the same, wherever it is asked.
    pub(super) async fn ask(&self, query: Query, deadline: Instant) -> Result<Answer> {
        let mut backoff = Backoff::new();
        loop {
            let peer = self.guide.home()?;
            // A count takes as long as what it counts: begun anew at each member it would not end.
            let patience = if matches!(query, Query::Count { .. }) {
                deadline.saturating_duration_since(self.now())
            } else {
                self.patience(deadline)
            };
            let error = match self.ask_at(&peer, query.for_at_most(patience), patience).await {
                Ok(answer) => return Ok(answer),
                Err(Asked::Refused(error)) => return Err(error),
                Err(Asked::Failed(error)) => error,
            };
            self.guide.pass(&peer, &error);
            if !backoff.pause(deadline, self.now()).await {
                return Err(unanswered(error));
            }
        }
    }

    /// Waits until a lease holds a lock, asking one member after the other.
    pub(super) async fn await_lock(
        &self,
        name: Bytes,
        lease: LeaseId,
        revision: u64,
        deadline: Instant,
    ) -> Result<u64> {
        let _permit = self.wait_permit()?;
        let mut backoff = Backoff::new();
        loop {
            let peer = self.guide.home()?;
            let timeout = deadline.saturating_duration_since(self.now()).min(LOCK_PATIENCE);
            let query = Query::AwaitLock { name: name.clone(), lease, revision, timeout };
            let (error, waits) = match self.ask_at(&peer, query, timeout).await {
                Ok(Answer::Locked(token)) => return Ok(token),
                Ok(other) => return Err(super::misfit(&other)),
                Err(Asked::Refused(error)) if error.kind() != ErrorKind::Refused => {
                    return Err(error);
                }
                // It is not the turn of the lease yet, as far as that member knows.
                Err(Asked::Refused(error)) if self.now() >= deadline => return Err(error),
                Err(Asked::Refused(error)) => (error, true),
                Err(Asked::Failed(error)) => (error, false),
            };
            self.guide.pass(&peer, &error);
            // Who waits in the queue asks once more at the end: its turn may have come meanwhile.
            if !backoff.pause(deadline, self.now()).await && !waits {
                return Err(unanswered(error));
            }
        }
    }

    /// Returns how long one member may take.
    pub(super) fn patience(&self, deadline: Instant) -> Duration {
        let left = deadline.saturating_duration_since(self.now());
        (left / PARTS).max(ENOUGH.min(left / 2))
    }

    async fn ask_at(&self, peer: &Peer, query: Query, patience: Duration) -> Result<Answer, Asked> {
        let request = Request::Query(query);
        let asked = self.transport.request(peer, request, self.now() + patience + MARGIN);
        let asked = tokio::select! {
            asked = asked => asked,
            why = self.ended() => return Err(Asked::Refused(why)),
        };
        match asked {
            Ok(Response::Answer(answer)) => Ok(answer),
            Ok(Response::Failed(failure)) => {
                let error = Error::from(failure);
                let refused = is_everywhere(error.kind()) || error.kind() == ErrorKind::Refused;
                Err(if refused { Asked::Refused(error) } else { Asked::Failed(error) })
            }
            Ok(_) => Err(Asked::Failed(Error::internal(format!("{peer} answered something else")))),
            Err(error) => {
                let error = error.error().clone();
                // No frame can carry the question, to whomever.
                let refused = error.kind() == ErrorKind::InvalidArgument;
                Err(if refused { Asked::Refused(error) } else { Asked::Failed(error) })
            }
        }
    }
}

/// Why one member gave no answer.
enum Asked {
    /// As every member would.
    Refused(Error),
    /// Another may answer.
    Failed(Error),
}

/// Returns whether every member would answer with this kind of error.
pub(super) const fn is_everywhere(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::InvalidArgument
        | ErrorKind::Conflict
        | ErrorKind::Full
        | ErrorKind::Compacted
        | ErrorKind::Expired => true,
        ErrorKind::Unavailable
        | ErrorKind::Indeterminate
        | ErrorKind::Overloaded
        // Said by a lock that is held, or by a member of another cluster.
        | ErrorKind::Refused
        | ErrorKind::Unauthorized
        | ErrorKind::Closed
        | ErrorKind::Storage
        | ErrorKind::Corrupt
        | ErrorKind::Internal => false,
    }
}

/// What a read that no member has answered in time is told: what is wrong with a member says
/// nothing of that kind about this process.
pub(super) fn unanswered(error: Error) -> Error {
    if error.is_retryable() || error.kind() == ErrorKind::Unauthorized {
        return error;
    }
    Error::unavailable(format!("no member has answered in time: {error}"))
}

impl Query {
    /// Returns the query with the time that a member may take for it.
    pub(super) fn for_at_most(&self, patience: Duration) -> Self {
        let within = |read: ReadOptions| read.timeout(patience);
        match self.clone() {
            Self::Get { key, read } => Self::Get { key, read: within(read) },
            Self::Page { range, options } => {
                Self::Page { range, options: options.read(within(options.read)) }
            }
            Self::Count { range, read } => Self::Count { range, read: within(read) },
            Self::Lease { lease, read } => Self::Lease { lease, read: within(read) },
            Self::Scan { range, options } => {
                Self::Scan { range, options: options.read(within(options.read)) }
            }
            Self::Backup { read } => Self::Backup { read: within(read) },
            other @ (Self::AwaitLock { .. }
            | Self::Watch { .. }
            | Self::StateHash { .. }
            | Self::Refill { .. }) => other,
        }
    }
}
