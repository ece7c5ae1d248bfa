//! `Backup` is the whole map of one moment as bytes, for threads without an executor.

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::StreamExt as _;

use super::ReplicatedMap;
use crate::error::Result;
use crate::options::{BackupInfo, ReadOptions};

/// The blocking twin of [`Backup`](crate::Backup): an iterator over its chunks.
#[derive(Debug)]
pub struct Backup(crate::Backup);

impl Backup {
    /// Says what the backup holds.
    #[must_use]
    pub const fn info(&self) -> &BackupInfo {
        self.0.info()
    }
}

impl Iterator for Backup {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        block_on(self.0.next())
    }
}

impl ReplicatedMap {
    /// Takes a backup of one moment, without stopping writes.
    ///
    /// # Errors
    /// As [`ReplicatedMap::backup`](crate::ReplicatedMap::backup).
    pub fn backup(&self) -> Result<Backup> {
        block_on(self.0.backup()).map(Backup)
    }

    /// Takes a backup of a moment that is as fresh as the options ask for.
    ///
    /// # Errors
    /// As [`ReplicatedMap::backup_with`](crate::ReplicatedMap::backup_with).
    pub fn backup_with(&self, options: ReadOptions) -> Result<Backup> {
        block_on(self.0.backup_with(options)).map(Backup)
    }
}
