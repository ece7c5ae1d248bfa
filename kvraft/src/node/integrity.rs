//! `Integrity` is whether the state of this node is what the others have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard, watch};

use crate::error::{Error, Result};
use crate::raft::AppendRequest;

/// What is known of the state of this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// Nothing is wrong with it, as far as anyone has looked.
    Sound,
    /// Members differ, and none has a majority on its side: this node may be right.
    Suspect(Arc<str>),
    /// It is wrong, and being fetched anew: nobody reads it, and this node leads nobody.
    Out(Arc<str>),
}

/// The health of a node's state, for all its tasks.
#[derive(Debug)]
pub(super) struct Integrity {
    health: watch::Sender<Health>,
    /// The same, for reads, which ask at every call.
    out: AtomicBool,
    /// Held while both the note on the disk and the health change, so that they tell the same.
    noting: Mutex<()>,
}

impl Integrity {
    /// Begins with what was noted before the start: why the state is to be fetched anew, if it is.
    pub(super) fn new(refill: Option<String>) -> Self {
        let out = AtomicBool::new(refill.is_some());
        let health = refill.map_or(Health::Sound, |why| Health::Out(why.into()));
        Self { health: watch::Sender::new(health), out, noting: Mutex::default() }
    }

    pub(super) fn is_out(&self) -> bool {
        self.out.load(Ordering::Acquire)
    }

    /// Fails while the state must not be read.
    pub(super) fn check(&self) -> Result<()> {
        if self.is_out() { Err(self.refusal()) } else { Ok(()) }
    }

    /// Fails for a member that asks for the hash: it takes `Corrupt` for the word that this node is
    /// out, and waits no longer.
    pub(super) fn check_hash(&self) -> Result<()> {
        if self.is_out() { Err(Error::corrupt(self.refusal().to_string())) } else { Ok(()) }
    }

    fn refusal(&self) -> Error {
        let why = self.trouble().unwrap_or_default();
        Error::unavailable(format!(
            "this node serves no reads while it fetches its state from another member ({why}); read on \
             another node, or retry"
        ))
    }

    /// Returns what the node may take in of a request of its leader: all of it, but while the state
    /// is wrong no word of what is committed, so that nothing is applied to it.
    pub(super) fn heed(&self, request: AppendRequest) -> AppendRequest {
        if !self.is_out() {
            return request;
        }
        AppendRequest { leader_commit: None, ..request }
    }

    /// Returns what is wrong, in words.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        match &*self.health.borrow() {
            Health::Sound => None,
            Health::Suspect(why) | Health::Out(why) => Some(Arc::clone(why)),
        }
    }

    /// Changes what is known; a state that is out stays so until [`restore`](Self::restore).
    pub(super) fn note(&self, health: Health) {
        self.health.send_if_modified(|now| {
            let changes = *now != health && !matches!(now, Health::Out(_));
            if changes {
                self.out.store(matches!(health, Health::Out(_)), Ordering::Release);
                *now = health;
            }
            changes
        });
    }

    /// Takes the state back into service: it is another one now, or none is to be had.
    pub(super) fn restore(&self, health: Health) {
        self.health.send_modify(|now| {
            self.out.store(matches!(health, Health::Out(_)), Ordering::Release);
            *now = health;
        });
    }

    /// Lets nobody else change the note on the disk until the guard is dropped.
    pub(super) async fn noting(&self) -> MutexGuard<'_, ()> {
        self.noting.lock().await
    }

    /// Returns a receiver that wakes when what is known changes.
    pub(super) fn changes(&self) -> watch::Receiver<impl Sized + use<>> {
        self.health.subscribe()
    }

    /// Returns once the state is out of service, with why.
    pub(super) async fn went_out(&self) -> Error {
        let mut health = self.health.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        drop(health.wait_for(|now| matches!(now, Health::Out(_))).await);
        self.refusal()
    }

    /// Returns once the state is in service.
    pub(super) async fn is_back(&self) {
        let mut health = self.health.subscribe();
        drop(health.wait_for(|now| !matches!(now, Health::Out(_))).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_state_that_is_out_stays_out_until_it_is_another() {
        let integrity = Integrity::new(None);
        assert!(integrity.check().is_ok());
        integrity.note(Health::Suspect("who knows".into()));
        assert!(integrity.check().is_ok(), "nobody can tell who is right");
        assert_eq!(integrity.trouble().as_deref(), Some("who knows"));
        integrity.note(Health::Out("wrong".into()));
        integrity.note(Health::Sound);
        let error = integrity.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains("wrong"), "{error}");
        integrity.restore(Health::Sound);
        assert!(integrity.check().is_ok());
        assert_eq!(integrity.trouble(), None);
    }

    #[test]
    fn what_was_noted_before_the_start_still_holds() {
        assert!(Integrity::new(Some("wrong".into())).check().is_err());
    }
}
