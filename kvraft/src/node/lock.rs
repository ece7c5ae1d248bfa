//! Waiting for a lock: this node sees by itself when the turn comes.

use std::time::Instant;

use super::core::Core;
use crate::error::{Error, Result};
use crate::options::LeaseId;
use crate::storage::LockPlace;

impl Core {
    /// Waits until `lease`, which waits for the lock since `revision`, holds it; returns its token.
    pub(super) async fn await_lock(
        &self,
        name: &[u8],
        lease: LeaseId,
        revision: u64,
        deadline: Instant,
    ) -> Result<u64> {
        let mut changes = self.state.lock_changes();
        self.wait_applied(self.index_of(revision), deadline).await?;
        let turn = async {
            loop {
                changes.borrow_and_update();
                self.integrity.check()?;
                match self.view().lock_place(name, lease.number()) {
                    LockPlace::Held { token } => return Ok(token),
                    LockPlace::Waits { .. } => {}
                    LockPlace::None => {
                        return Err(Error::expired(format!(
                            "lease {lease} ended while it waited for the lock; take a new one"
                        )));
                    }
                }
                changes.changed().await.map_err(|_| Error::closed("the map is closed"))?;
            }
        };
        tokio::select! {
            turn = tokio::time::timeout_at(deadline.into(), turn) => turn.unwrap_or_else(|_| {
                Err(Error::refused("others held the lock all the time; wait longer, or try later"))
            }),
            why = self.life.ended() => Err(why),
        }
    }
}
