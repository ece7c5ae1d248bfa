//! `Intake` lets the entries and snapshots of a leader in, and can be held for a while.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::error::{Error, Result};

/// Where appends come in.
#[derive(Debug, Default)]
pub(super) struct Intake {
    held: watch::Sender<bool>,
    /// Appends, streams of them, and snapshots that were let in and are not answered yet.
    under_way: watch::Sender<usize>,
}

/// An append, a stream of them, or a snapshot that was let in; over when this is dropped.
pub(super) struct Entered(Arc<Intake>);

/// Nothing is let in until this is dropped.
pub(super) struct Held<'a>(&'a Intake);

impl Intake {
    /// Lets an append in, a stream of them, or a snapshot.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Entered> {
        // Counted first: whoever holds the intake either sees it or is seen here.
        self.under_way.send_modify(|count| *count += 1);
        let entered = Entered(Arc::clone(self));
        if self.is_held() {
            return Err(Error::unavailable(
                "this node takes no entries while it changes its state",
            ));
        }
        Ok(entered)
    }

    /// Returns whether nothing is let in now.
    pub(super) fn is_held(&self) -> bool {
        *self.held.borrow()
    }

    /// Lets nothing in any more, and waits until all that was let in is answered.
    pub(super) async fn hold(&self, deadline: Instant) -> Result<Held<'_>> {
        self.held.send_replace(true);
        let held = Held(self);
        let mut under_way = self.under_way.subscribe();
        // The sender lives as long as `self`.
        let answered = async { drop(under_way.wait_for(|count| *count == 0).await) };
        let late = |_| Error::unavailable("the entries that came before were not written in time");
        tokio::time::timeout_at(deadline.into(), answered).await.map_err(late)?;
        Ok(held)
    }
}

impl Entered {
    /// Returns once nothing more is to be let in.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut held = self.0.held.subscribe();
        async move { drop(held.wait_for(|held| *held).await) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.under_way.send_modify(|count| *count -= 1);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.held.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_held_intake_waits_for_what_is_under_way_and_lets_nothing_in() {
        let intake = Arc::new(Intake::default());
        let entered = intake.enter().unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(intake.hold(soon()).await.is_err(), "one is under way");
        assert!(intake.enter().is_ok(), "whoever gives up holds nothing");
        let ended = entered.ended();
        let holding = intake.hold(Instant::now() + Duration::from_secs(60));
        let leaving = async {
            ended.await;
            drop(entered);
        };
        let (held, ()) = tokio::join!(holding, leaving);
        let held = held.unwrap();
        assert!(intake.enter().is_err());
        drop(held);
        assert!(intake.enter().is_ok());
    }
}
