//! A watch on this node: it follows the changes that are applied here, whoever leads.

use std::sync::{Arc, Weak};

use super::core::Core;
use super::life::Life;
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::options::{Change, Changes, Entry, KeyRange, ScanOptions};
use crate::storage::{Batch, Record, Watcher};

/// Follows a range; it ends with the node, which it does not keep open.
#[derive(Debug)]
pub(crate) struct Follower {
    core: Weak<Core>,
    life: Arc<Life>,
    handle: tokio::runtime::Handle,
    watcher: Watcher,
    range: KeyRange,
    previous: bool,
}

impl Follower {
    pub(super) fn new(
        core: &Arc<Core>,
        handle: &tokio::runtime::Handle,
        range: KeyRange,
        from: Option<u64>,
        previous: bool,
    ) -> Result<Self> {
        let watcher = core.state.watch((range.start.clone(), range.end.clone()), from)?;
        let life = Arc::clone(&core.life);
        let handle = handle.clone();
        Ok(Self { core: Arc::downgrade(core), life, handle, watcher, range, previous })
    }

    /// Waits for changes.
    ///
    /// Safe to cancel: what was not returned is read again.
    ///
    /// # Errors
    /// `Compacted` if changes were missed, the error that ended the node if one did.
    pub(crate) async fn next(&self) -> Result<Changes> {
        loop {
            let (changes, more) = self.look()?;
            if !changes.revisions.is_empty() {
                return Ok(changes);
            }
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                () = self.watcher.changed() => {}
                why = self.life.ended() => return Err(why),
            }
        }
    }

    /// Reads what is there now; says too whether there may be more to read at once.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub(super) fn look(&self) -> Result<(Changes, bool)> {
        self.life.check()?;
        let Batch { revisions, upto, more } = self.watcher.read()?;
        let told = |(revision, changes): (u64, Vec<_>)| {
            (revision, changes.into_iter().map(|change| told(change, self.previous)).collect())
        };
        Ok((Changes { revisions: revisions.into_iter().map(told).collect(), upto }, more))
    }

    /// Says where the watch begins; reads nothing.
    ///
    /// # Errors
    /// As [`check_fresh`](Self::check_fresh), without a look at the leader.
    pub(super) fn start(&self) -> Result<Changes> {
        self.core()?.integrity.check()?;
        let upto = self.watcher.begins_at().saturating_sub(1);
        Ok(Changes { revisions: Vec::new(), upto })
    }

    /// Begins again from what is there now: returns its entries, and follows what comes after them.
    pub(crate) fn begin_again(&self) -> Result<Walk> {
        let core = self.core()?;
        // First the place in the changes, then a view that is not older: none falls between.
        self.watcher.restart();
        let view = core.view();
        self.watcher.skip_to(view.revision() + 1);
        Ok(Walk::new(&core, &self.handle, view, self.range.clone(), ScanOptions::new()))
    }

    /// Fails unless the node has lately heard of a leader, and applies what that commits.
    ///
    /// # Errors
    /// `Unavailable` if others know more, the error that ended the node if one did.
    pub(super) fn check_fresh(&self) -> Result<()> {
        let core = self.core()?;
        core.integrity.check()?;
        if core.leader_is_confirmed() {
            return Ok(());
        }
        Err(Error::unavailable("this node hears of no leader; watch on another node"))
    }

    fn core(&self) -> Result<Arc<Core>> {
        self.life.check()?;
        self.core.upgrade().ok_or_else(|| Error::closed("the map is closed; open it again"))
    }
}

fn told(change: crate::storage::Change, previous: bool) -> Change {
    let entry = |record: Option<Record>| {
        record.map(|record| Entry::new(change.key.clone(), record.found()))
    };
    Change {
        key: change.key.clone(),
        entry: entry(change.now),
        previous: entry(change.before.filter(|_| previous)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::error::ErrorKind;
    use crate::node::Node;
    use crate::node::integrity::Health;

    #[tokio::test]
    async fn a_client_is_sent_on_by_a_node_that_applies_nothing_while_its_state_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(Config::new(dir.path()).check().unwrap()).await.unwrap();
        node.wait_ready(node.now() + Duration::from_secs(10)).await.unwrap();
        let core = node.core().unwrap();
        let handle = tokio::runtime::Handle::current();
        let follower = Follower::new(&core, &handle, KeyRange::all(), None, false).unwrap();
        follower.check_fresh().unwrap();
        // An only voter takes itself back into service, which needs this turn.
        let _turn = core.integrity.noting().await;
        core.integrity.note(Health::Out("a test says so".into()));
        for told in [follower.check_fresh(), follower.start().map(drop)] {
            assert_eq!(told.unwrap_err().kind(), ErrorKind::Unavailable);
        }
    }
}
