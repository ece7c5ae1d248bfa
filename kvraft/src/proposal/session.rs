//! `Session` numbers the commands of this process, so that asking again never applies one twice.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use crate::command::{MAX_UNFINISHED, Origin, SessionId};
use crate::environment::Environment;
use crate::error::{Error, Result};

/// The one session of a process at a time; a new one follows when the cluster has ended it.
#[derive(Debug)]
pub(crate) struct Session {
    numbers: Mutex<Numbers>,
    /// Bounds the unfinished commands, first come, first served.
    slots: Semaphore,
    /// Wakes those for whom the oldest unfinished command was too far behind.
    moved: Notify,
    /// Held while the session is being registered, so that it is registered once.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Numbers {
    id: SessionId,
    registered: bool,
    next: u64,
    unfinished: BTreeSet<u64>,
}

/// Makes the id of a session that was never used.
pub(crate) fn new_session_id(environment: &Environment) -> Result<SessionId> {
    let random = environment.random_u128();
    random
        .map(SessionId)
        .map_err(|error| Error::internal("no random session id").with_source(error))
}

/// One command under way; dropping it means that it will not be sent again.
#[derive(Debug)]
pub(crate) struct Ticket<'a> {
    session: &'a Session,
    id: SessionId,
    sequence: u64,
    _slot: SemaphorePermit<'a>,
}

impl Session {
    pub(crate) fn new(id: SessionId) -> Self {
        Self {
            numbers: Mutex::new(Numbers::new(id)),
            slots: Semaphore::new(MAX_UNFINISHED),
            moved: Notify::new(),
            opening: tokio::sync::Mutex::new(()),
        }
    }

    /// Returns the id of the current session, and whether the cluster knows it.
    pub(crate) fn current(&self) -> (SessionId, bool) {
        let numbers = self.lock();
        (numbers.id, numbers.registered)
    }

    pub(crate) fn registered(&self, id: SessionId) {
        let mut numbers = self.lock();
        if numbers.id == id {
            numbers.registered = true;
        }
    }

    /// Goes on under the id `fresh`, unless another command has renewed the session already.
    pub(crate) fn renew(&self, ended: SessionId, fresh: SessionId) {
        let mut numbers = self.lock();
        if numbers.id == ended {
            *numbers = Numbers::new(fresh);
            drop(numbers);
            self.moved.notify_waiters();
        }
    }

    /// Takes the next number of a registered session, or nothing if it is not registered now.
    ///
    /// Waits while too many commands are unfinished, and while the oldest of them is so far behind
    /// that the cluster could not keep the outcomes of all that came after it.
    pub(crate) async fn ticket(&self) -> Option<Ticket<'_>> {
        // The semaphore is never closed.
        let slot = self.slots.acquire().await.ok()?;
        loop {
            let mut moved = pin!(self.moved.notified());
            // From here on no move is missed.
            moved.as_mut().enable();
            {
                let mut numbers = self.lock();
                if !numbers.registered {
                    return None;
                }
                if let Some(sequence) = numbers.take() {
                    return Some(Ticket { session: self, id: numbers.id, sequence, _slot: slot });
                }
            }
            moved.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Numbers {
    const fn new(id: SessionId) -> Self {
        Self { id, registered: false, next: 1, unfinished: BTreeSet::new() }
    }

    fn oldest(&self) -> u64 {
        self.unfinished.first().copied().unwrap_or(self.next)
    }

    /// Takes the next number, unless its outcome would be one too many for the cluster to keep.
    fn take(&mut self) -> Option<u64> {
        if self.next - self.oldest() >= MAX_UNFINISHED as u64 {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.unfinished.insert(sequence);
        Some(sequence)
    }
}

impl Ticket<'_> {
    pub(crate) const fn session(&self) -> SessionId {
        self.id
    }

    /// Returns what the command carries now; `done_below` moves while it waits to be sent again.
    pub(crate) fn origin(&self) -> Origin {
        let numbers = self.session.lock();
        let lowest = if numbers.id == self.id { numbers.unfinished.first().copied() } else { None };
        let done_below = lowest.unwrap_or(self.sequence).min(self.sequence);
        Origin { session: self.id, sequence: self.sequence, done_below }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut numbers = self.session.lock();
        if numbers.id != self.id {
            return;
        }
        let before = numbers.oldest();
        numbers.unfinished.remove(&self.sequence);
        if numbers.oldest() != before {
            drop(numbers);
            self.session.moved.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn ticket(session: &Session) -> Ticket<'_> {
        session.ticket().now_or_never().flatten().expect("a free slot")
    }

    fn registered(id: SessionId) -> Session {
        let session = Session::new(id);
        session.registered(id);
        session
    }

    #[test]
    fn done_below_stays_at_the_oldest_unfinished_command() {
        let session = registered(SessionId(1));
        let (first, second) = (ticket(&session), ticket(&session));
        assert_eq!((second.origin().sequence, second.origin().done_below), (2, 1));
        drop(first);
        assert_eq!(second.origin().done_below, 2);
    }

    #[test]
    fn a_renewed_session_starts_again_and_old_tickets_do_not_disturb_it() {
        let session = registered(SessionId(1));
        let old = ticket(&session);
        session.renew(SessionId(1), SessionId(2));
        session.renew(SessionId(1), SessionId(3));
        session.registered(SessionId(2));
        let new = ticket(&session);
        assert_eq!((new.session(), new.origin().sequence), (SessionId(2), 1));
        drop(old);
        assert_eq!(new.origin().done_below, 1);
    }

    #[test]
    fn a_command_beyond_the_bound_waits_for_the_oldest_to_finish() {
        let session = registered(SessionId(1));
        let mut tickets: Vec<_> = (0..MAX_UNFINISHED).map(|_| ticket(&session)).collect();
        assert!(session.ticket().now_or_never().is_none());
        drop(tickets.remove(0));
        assert!(session.ticket().now_or_never().is_some());
    }

    #[test]
    fn a_command_that_does_not_end_holds_back_those_whose_outcome_could_not_be_kept() {
        let session = registered(SessionId(1));
        let slow = ticket(&session);
        for _ in 1..MAX_UNFINISHED {
            drop(ticket(&session));
        }
        let mut waiting = Box::pin(session.ticket());
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(slow);
        let late = waiting.now_or_never().flatten().expect("the oldest has ended");
        let origin = late.origin();
        assert!(origin.sequence - origin.done_below < MAX_UNFINISHED as u64);
    }

    #[test]
    fn a_renewed_session_gives_no_number_before_the_cluster_knows_it() {
        let session = registered(SessionId(1));
        session.renew(SessionId(1), SessionId(2));
        assert!(session.ticket().now_or_never().expect("it does not wait").is_none());
    }
}
