//! `Keeper` keeps the leases of a map alive, all that are due with one command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::place::{Place, WeakPlace};
use crate::command::{Command, MAX_LEASES_AT_ONCE, Outcome};
use crate::error::{Error, Result};
use crate::options::LeaseId;

/// How soon a keep-alive that failed is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What is known of a lease that is kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is there at least until then.
    Until(Instant),
    /// It has ended, or may have.
    Gone,
}

/// The leases that handles of one map hold.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    leases: Mutex<Leases>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Leases {
    held: BTreeMap<LeaseId, Held>,
    /// Whether a task looks after them.
    running: bool,
}

#[derive(Debug)]
struct Held {
    ttl: Duration,
    /// When it is kept alive next.
    next: Instant,
    kept: watch::Sender<Kept>,
}

impl Keeper {
    /// Keeps a lease alive, whose grant was asked for at `asked`, until it is forgotten.
    pub(super) fn keep(
        self: &Arc<Self>,
        place: &Place,
        id: LeaseId,
        ttl: Duration,
        asked: Instant,
    ) -> watch::Receiver<Kept> {
        let (kept, receiver) = watch::channel(Kept::Until(asked + ttl));
        let mut leases = self.lock();
        leases.held.insert(id, Held { ttl, next: asked + ttl / 3, kept });
        if std::mem::replace(&mut leases.running, true) {
            self.changed.notify_one();
        } else {
            place.spawn(Arc::clone(self).run(place.downgrade()));
        }
        receiver
    }

    pub(super) fn forget(&self, id: LeaseId) {
        self.lock().held.remove(&id);
        self.changed.notify_one();
    }

    /// Keeps none alive any more, and tells those who wait for the end of one.
    pub(super) fn end(&self) {
        self.lock().held.clear();
        self.changed.notify_one();
    }

    async fn run(self: Arc<Self>, place: WeakPlace) {
        let mut task = Task { keeper: &self, ended: false };
        loop {
            let now = place.upgrade().map(|place| place.now());
            let Some(now) = now else { return };
            let Some((due, next)) = self.due(now) else {
                task.ended = true;
                return;
            };
            if due.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep_until(next.into()) => {}
                    () = self.changed.notified() => {}
                }
                continue;
            }
            let Some(place) = place.upgrade() else { return };
            let asked = place.now();
            // Whichever lease is over first is told so in time, and the others are asked for anew.
            let deadline = self.first_end().unwrap_or(asked);
            let answer = keep_alive(&place, &due, deadline);
            let answer = tokio::time::timeout_at(deadline.into(), answer).await;
            let late = || Err(Error::unavailable("a lease was not kept alive in time"));
            self.note(&due, asked, place.now(), &answer.unwrap_or_else(|_| late()));
        }
    }

    /// Returns when the first of the leases may be over.
    fn first_end(&self) -> Option<Instant> {
        let leases = self.lock();
        let ends = leases.held.values().filter_map(|held| match *held.kept.borrow() {
            Kept::Until(until) => Some(until),
            Kept::Gone => None,
        });
        ends.min()
    }

    /// Returns the leases to keep alive now, and when the next one is; `None` ends the task.
    fn due(&self, now: Instant) -> Option<(Vec<(LeaseId, Duration)>, Instant)> {
        let mut leases = self.lock();
        let Some(next) = leases.held.values().map(|held| held.next).min() else {
            leases.running = false;
            return None;
        };
        let due = leases.held.iter().filter(|(_, held)| held.next <= now);
        let due = due.map(|(id, held)| (*id, held.ttl)).take(MAX_LEASES_AT_ONCE).collect();
        Some((due, next))
    }

    /// Notes what came of keeping `due` alive, which was asked for at `asked`.
    fn note(
        &self,
        due: &[(LeaseId, Duration)],
        asked: Instant,
        now: Instant,
        answer: &Result<Vec<u64>>,
    ) {
        let mut leases = self.lock();
        for (id, _) in due {
            let Some(held) = leases.held.get_mut(id) else { continue };
            match answer {
                Ok(gone) if gone.contains(&id.number()) => {
                    held.kept.send_replace(Kept::Gone);
                }
                Ok(_) => {
                    held.kept.send_replace(Kept::Until(asked + held.ttl));
                    held.next = asked + held.ttl / 3;
                }
                Err(_) => held.next = now + RETRY.min(held.ttl / 10),
            }
        }
        // Those that were not asked for may be over too, while the answer was waited for.
        leases.held.retain(|_, held| {
            let alive = matches!(*held.kept.borrow(), Kept::Until(until) if until > now);
            if !alive {
                held.kept.send_replace(Kept::Gone);
            }
            alive
        });
    }

    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task of a keeper: however it ends, nobody waits for it in vain.
struct Task<'a> {
    keeper: &'a Keeper,
    /// Whether it found nothing more to do, so that another task may run by now.
    ended: bool,
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut leases = self.keeper.lock();
            leases.running = false;
            // Whoever follows one of them learns that it is not kept alive any more.
            leases.held.clear();
        }
    }
}

async fn keep_alive(
    place: &Place,
    due: &[(LeaseId, Duration)],
    deadline: Instant,
) -> Result<Vec<u64>> {
    let leases = due.iter().map(|(id, _)| id.number()).collect();
    let outcome = place.propose(Command::KeepAlive { leases }, deadline).await?;
    let Outcome::KeptAlive { gone } = outcome else {
        return Err(super::write::unexpected(&outcome));
    };
    Ok(gone)
}
