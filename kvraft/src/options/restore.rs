//! `RestoreOptions` says what is to be made of a backup.

use std::path::PathBuf;

use super::BackupInfo;

/// What [`restore`](crate::restore) is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreOptions {
    pub(crate) from: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) name: String,
    pub(crate) above: u64,
}

impl RestoreOptions {
    /// Makes a data directory for a node of this name out of the backup at `from`. The directory
    /// must be missing or empty.
    #[must_use]
    pub fn new(
        from: impl Into<PathBuf>,
        data_dir: impl Into<PathBuf>,
        name: impl Into<String>,
    ) -> Self {
        Self { from: from.into(), data_dir: data_dir.into(), name: name.into(), above: 0 }
    }

    /// Has revisions begin at least 2^40 above this one too, and not only above those in the
    /// backup.
    ///
    /// Needed when the same backup, or one that is not newer, was restored before: both clusters
    /// would give out the same revisions otherwise. Take the `revision` that the last of them
    /// reported.
    #[must_use]
    pub const fn above(mut self, revision: u64) -> Self {
        self.above = revision;
        self
    }
}

/// What came of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The id of the new cluster: 32 hexadecimal digits.
    pub cluster: String,
    /// The id of its one node: 16 hexadecimal digits.
    pub node_id: String,
    /// No write of the new cluster has a revision below this one.
    pub next_revision: u64,
    /// What the backup held.
    pub backup: BackupInfo,
}

/// What was saved of a cluster that has lost its majority.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovered {
    /// The new cluster.
    pub restored: Restored,
    /// The name of its one node, which is that of the old one.
    pub name: String,
    /// The log index up to which the node knew entries to be committed. Entries behind it were
    /// kept: some of them may have been acknowledged, some may not.
    pub committed: u64,
    /// The last entry in the log of the node: all up to it were kept, and nothing behind it.
    pub last: u64,
}
