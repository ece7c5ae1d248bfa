//! `Lent` is a view that is given back in time, whether its borrower goes on or not.
//!
//! A view keeps pages of the state file and some of its few reader slots. A scan that nobody reads
//! on must not hold them for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::runtime::AbortOnDrop;
use crate::storage::View;

/// A view on loan, or why it is gone.
pub(crate) struct Lent {
    view: Arc<Mutex<Result<Arc<View>>>>,
    renewed: Arc<Notify>,
    _return: AbortOnDrop,
}

impl Lent {
    /// Lends `view` until `patience` is over, of which `advice` then tells more, or the node closes.
    pub(super) fn new(
        core: &Arc<Core>,
        handle: &tokio::runtime::Handle,
        view: Arc<View>,
        (patience, advice): (Duration, &'static str),
    ) -> Self {
        let view = Arc::new(Mutex::new(Ok(view)));
        let (held, life) = (Arc::clone(&view), Arc::clone(&core.life));
        let integrity = Arc::clone(&core.integrity);
        let renewed = Arc::new(Notify::new());
        let renewals = Arc::clone(&renewed);
        let task = handle.spawn(async move {
            let why = tokio::select! {
                () = over(patience, &renewals) => Error::new(
                    ErrorKind::Compacted,
                    format!("this took longer than {patience:?} and lost its moment; {advice}"),
                ),
                why = life.ended() => why,
                // What it reads is wrong.
                why = integrity.went_out() => why,
            };
            *held.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
        });
        Self { view, renewed, _return: AbortOnDrop::new(task.abort_handle()) }
    }

    /// Has the patience begin anew, unless the view is back already.
    pub(super) fn renew(&self) {
        self.renewed.notify_one();
    }

    /// Returns the view while it is on loan.
    pub(crate) fn view(&self) -> Result<Arc<View>> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns once nobody has renewed the loan for so long.
async fn over(patience: Duration, renewals: &Notify) {
    while tokio::time::timeout(patience, renewals.notified()).await.is_ok() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loan_lasts_for_as_long_as_it_is_renewed() {
        let (patience, renewals) = (Duration::from_secs(10), Notify::new());
        let renewing = async {
            for _ in 0..5 {
                tokio::time::sleep(patience / 2).await;
                renewals.notify_one();
            }
        };
        let begun = tokio::time::Instant::now();
        tokio::join!(over(patience, &renewals), renewing);
        assert_eq!(begun.elapsed(), patience / 2 * 5 + patience);
    }
}
