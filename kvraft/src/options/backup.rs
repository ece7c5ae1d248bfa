//! `BackupInfo` is what a backup says of itself.

use std::time::{Duration, SystemTime};

/// What a backup holds; its first bytes say so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupInfo {
    /// The id of the cluster that it was taken of: 32 hexadecimal digits.
    pub cluster: String,
    /// The last revision that it has; a read with
    /// [`min_revision`](crate::ReadOptions::min_revision) of at most this sees no more.
    pub revision: u64,
    /// How many keys it has.
    pub entries: u64,
    /// How many bytes their keys and values have. The file is a little larger.
    pub bytes: u64,
    /// The wall time of the last write in it, as its leader's clock had it: for people.
    pub changed: SystemTime,
}

impl BackupInfo {
    pub(crate) fn new(
        cluster_id: u128,
        revision: u64,
        (entries, bytes): (u64, u64),
        wall_ms: u64,
    ) -> Self {
        let cluster = format!("{cluster_id:032x}");
        let changed = SystemTime::UNIX_EPOCH + Duration::from_millis(wall_ms);
        Self { cluster, revision, entries, bytes, changed }
    }
}
