//! `WatchOptions` is what a watch may ask for, `WatchEvent` what it tells.

use bytes::Bytes;

use super::Entry;

/// What a watch may ask for. The default tells what happens from now on.
#[derive(Debug, Clone, Copy, Default)]
pub struct WatchOptions {
    pub(crate) from: Option<u64>,
    pub(crate) previous: bool,
    pub(crate) resync: bool,
}

impl WatchOptions {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells changes from this revision on, itself included; one that has not come yet is waited
    /// for. A node holds its last 65,536 revisions with changes, or 64 MiB of them.
    ///
    /// A revision that is not held any more is `Compacted`, since nobody knows what happened to
    /// the range since then. Once a watch has begun, it loses its place only if something in its
    /// range left the node's memory unread, if all is forgotten at once (a snapshot came instead of
    /// the changes, or one command changed more than 65,536 keys or 32 MiB), or if more than 1024
    /// watches of the node have to be taken over one revision that leaves.
    #[must_use]
    pub const fn from(mut self, revision: u64) -> Self {
        self.from = Some(revision);
        self
    }

    /// Tells with each change the entry as it was before.
    #[must_use]
    pub const fn previous(mut self) -> Self {
        self.previous = true;
        self
    }

    /// Begins with all entries as they are, and goes on for ever: when changes were missed, it
    /// begins again with all entries, instead of ending as `Compacted`.
    ///
    /// With [`from`](Self::from) it begins with the changes from that revision on, and with all
    /// entries only if they are not held any more: for a caller that knows the entries as they
    /// were.
    #[must_use]
    pub const fn resync(mut self) -> Self {
        self.resync = true;
        self
    }
}

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchEvent {
    /// All changes of one revision in the watched range.
    Changes {
        /// The revision, larger than that of any event before.
        revision: u64,
        /// Each key at most once.
        changes: Vec<Change>,
    },
    /// All entries follow as they stood at this revision: forget what was told before.
    SnapshotBegin {
        /// The revision of the snapshot.
        revision: u64,
    },
    /// Some entries of the snapshot, in the order of their keys over all events.
    SnapshotEntries(Vec<Entry>),
    /// The snapshot is complete; changes after its revision follow.
    SnapshotEnd {
        /// The revision of the snapshot.
        revision: u64,
    },
}

/// What a watcher reads at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Each revision with all of its changes in the range.
    pub(crate) revisions: Vec<(u64, Vec<Change>)>,
    /// Up to here there is nothing more for the watcher.
    pub(crate) upto: u64,
}

/// What became of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// 1 to 511 bytes.
    pub key: Bytes,
    /// The entry now; `None` if the key was deleted, or ended with its lease.
    pub entry: Option<Entry>,
    /// The entry before, if it was asked for and there was one.
    pub previous: Option<Entry>,
}
