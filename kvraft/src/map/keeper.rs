//! `Keeper` keeps the leases of a map alive, all that are due with one command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::command::{Command, MAX_LEASES_AT_ONCE, Outcome};
use crate::error::Result;
use crate::node::Node;
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
        node: &Arc<Node>,
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
            node.spawn(Arc::clone(self).run(Arc::downgrade(node)));
        }
        receiver
    }

    pub(super) fn forget(&self, id: LeaseId) {
        self.lock().held.remove(&id);
        self.changed.notify_one();
    }

    async fn run(self: Arc<Self>, node: Weak<Node>) {
        loop {
            let now = node.upgrade().map(|node| node.now());
            let Some(now) = now else { return self.give_up() };
            let Some((due, next)) = self.due(now) else { return };
            if due.is_empty() {
                tokio::select! {
                    () = tokio::time::sleep_until(next.into()) => {}
                    () = self.changed.notified() => {}
                }
                continue;
            }
            let Some(node) = node.upgrade() else { return self.give_up() };
            let asked = node.now();
            // Later it would be of no use.
            let patience = due.iter().map(|(_, ttl)| *ttl).min().unwrap_or_default();
            let answer = keep_alive(&node, &due, asked + patience).await;
            self.note(&due, asked, node.now(), &answer);
        }
    }

    /// Lets all who wait know that nobody keeps their leases alive any more.
    fn give_up(&self) {
        self.lock().held.clear();
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
            let gone = match answer {
                Ok(gone) => gone.contains(&id.number()),
                Err(_) => matches!(*held.kept.borrow(), Kept::Until(until) if until <= now),
            };
            if gone {
                held.kept.send_replace(Kept::Gone);
                leases.held.remove(id);
            } else if answer.is_ok() {
                held.kept.send_replace(Kept::Until(asked + held.ttl));
                held.next = asked + held.ttl / 3;
            } else {
                held.next = now + RETRY.min(held.ttl / 10);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep_alive(
    node: &Node,
    due: &[(LeaseId, Duration)],
    deadline: Instant,
) -> Result<Vec<u64>> {
    let leases = due.iter().map(|(id, _)| id.number()).collect();
    let outcome = node.propose(Command::KeepAlive { leases }, deadline).await?;
    let Outcome::KeptAlive { gone } = outcome else {
        return Err(super::write::unexpected(&outcome));
    };
    Ok(gone)
}
