//! `Change` is what one command did to one key, `Revision` all that one log entry did to keys.

use std::sync::Arc;

use bytes::Bytes;

use crate::storage::state_record::Record;

/// Changes of one log entry that are kept for watchers, and their keys and values together; of a
/// larger one only the fact is told.
const MAX_CHANGES: usize = 65_536;
const MAX_CHANGE_BYTES: usize = 32 << 20;

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) key: Bytes,
    /// `None` if the key is gone.
    pub(crate) now: Option<Record>,
    pub(crate) before: Option<Record>,
}

/// All changes of one log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) revision: u64,
    /// In the order of the keys' changes; each key at most once.
    pub(crate) changes: Arc<[Change]>,
    /// Whether the changes are all there: if there were too many to hold, there is none.
    pub(crate) complete: bool,
}

/// Collects the changes of one log entry after the other.
#[derive(Debug, Default)]
pub(super) struct Changes {
    done: Vec<Revision>,
    open: Vec<Change>,
    open_bytes: usize,
    overflow: bool,
}

impl Change {
    /// Returns how many bytes the change holds on to.
    pub(crate) fn bytes(&self) -> usize {
        let value = |record: &Option<Record>| record.as_ref().map_or(0, |r| r.value.len());
        self.key.len() + value(&self.now) + value(&self.before)
    }
}

impl Changes {
    pub(super) fn push(&mut self, change: Change) {
        if self.overflow {
            return;
        }
        self.open_bytes += change.bytes();
        if self.open.len() >= MAX_CHANGES || self.open_bytes > MAX_CHANGE_BYTES + change.bytes() {
            self.overflow = true;
            self.open.clear();
            return;
        }
        self.open.push(change);
    }

    /// Ends the log entry whose changes were pushed.
    pub(super) fn seal(&mut self, revision: u64) {
        if self.open.is_empty() && !self.overflow {
            return;
        }
        let changes = std::mem::take(&mut self.open).into();
        let complete = !std::mem::take(&mut self.overflow);
        self.open_bytes = 0;
        self.done.push(Revision { revision, changes, complete });
    }

    /// Returns what was sealed since the last call, in order.
    pub(super) fn take(&mut self) -> Vec<Revision> {
        std::mem::take(&mut self.done)
    }
}
