//! `Watch` is what happens to the keys of a range, for threads without an executor.

use std::time::Duration;

use futures_executor::block_on;
use futures_util::StreamExt as _;

use super::wait::within;
use crate::error::{Error, Result};
use crate::options::WatchEvent;

/// The blocking twin of [`Watch`](crate::Watch): an iterator whose steps wait for the next event,
/// for ever if none comes; [`next_within`](Self::next_within) does not.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path()))?;
/// use std::time::Duration;
/// use kvraft::{KeyRange, WatchEvent, WatchOptions};
///
/// let mut watch = map.watch(KeyRange::prefix("config/"), WatchOptions::new())?;
/// assert_eq!(watch.next_within(Duration::from_millis(1))?, None);
/// let revision = map.put("config/color", "blue")?;
/// let told = watch.next_within(Duration::from_secs(10))?;
/// assert!(matches!(told, Some(WatchEvent::Changes { revision: at, .. }) if at == revision));
/// # Ok::<(), kvraft::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch(pub(super) crate::Watch);

impl Watch {
    /// Waits for the next event, but no longer than `timeout`: then it returns `None`, and the
    /// event comes with a later call. No event is lost.
    ///
    /// # Errors
    /// What ends the watch, as [`ReplicatedMap::watch`](crate::ReplicatedMap::watch); after that
    /// always `Closed`.
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<WatchEvent>> {
        match within(timeout, self.0.next()) {
            None => Ok(None),
            Some(Some(event)) => event.map(Some),
            Some(None) => Err(Error::closed("the watch has ended; begin another")),
        }
    }
}

impl Iterator for Watch {
    type Item = Result<WatchEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}
