//! `Backup` is the whole map of one moment as bytes, while writes go on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _};

use super::{ReplicatedMap, place};
use crate::error::Result;
use crate::options::{BackupInfo, ReadOptions};

/// A backup that is being read: a stream of chunks of about 1 MiB, or one value.
///
/// It is whole only with its last chunk: a file in which the end is missing is refused by
/// [`restore`](crate::restore), and so is one in which a bit was flipped. The stream ends after
/// its first error. It holds its moment for an hour at most, and then fails as `Compacted`.
pub struct Backup {
    info: BackupInfo,
    chunks: BoxStream<'static, Result<Bytes>>,
}

impl Backup {
    fn new(backup: place::Backup) -> Self {
        let info = backup.info().clone();
        let chunks = stream::unfold(Some(backup), |backup| async {
            let mut backup = backup?;
            match backup.next().await.transpose()? {
                Ok(chunk) => Some((Ok(chunk), Some(backup))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Self { info, chunks: chunks.fuse().boxed() }
    }

    /// Says what the backup holds.
    #[must_use]
    pub const fn info(&self) -> &BackupInfo {
        &self.info
    }
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Stream for Backup {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.poll_next_unpin(context)
    }
}

impl ReplicatedMap {
    /// Takes a backup: all entries, leases, locks, request ids and settings of one moment, without
    /// stopping writes. [`restore`](crate::restore) makes a new cluster of it.
    ///
    /// Every write that was acknowledged before is in it. The sessions of running processes are
    /// not: they mean nothing to another cluster.
    ///
    /// While it is read, the state file does not reuse what is freed and grows by what is written,
    /// and the memory of the write buffer is held: read it without pauses.
    ///
    /// # Errors
    /// As [`get`](Self::get); `Overloaded` if two backups of the node are under way. A chunk fails as
    /// `Compacted` after an hour, as `Corrupt` or `Storage` if the disk gives damaged bytes or none,
    /// as `Closed` if the node stops; on a client, to which one member sends it, as `Unavailable` if
    /// that one is lost.
    ///
    /// # Cancel safety
    /// Safe: dropping it gives its moment back.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path().join("old"))).await?;
    /// # let file = dir.path().join("kept");
    /// # let new_dir = dir.path().join("new");
    /// use futures_util::TryStreamExt;
    /// use kvraft::{Config, ReplicatedMap, RestoreOptions};
    ///
    /// let revision = map.put("k", "v").await?;
    /// let backup = map.backup().await?;
    /// assert!(backup.info().revision >= revision);
    /// let chunks: Vec<_> = backup.try_collect().await?;
    /// std::fs::write(&file, chunks.concat())?;
    ///
    /// let restored = kvraft::restore(&RestoreOptions::new(&file, &new_dir, "n1"))?;
    /// let new = ReplicatedMap::open(Config::new(&new_dir).name("n1")).await?;
    /// assert_eq!(new.get("k").await?.as_deref(), Some(&b"v"[..]));
    /// assert!(new.put("k", "w").await? >= restored.next_revision);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn backup(&self) -> Result<Backup> {
        self.backup_with(ReadOptions::new()).await
    }

    /// Takes a backup of a moment that is as fresh as the options ask for: with
    /// [`Consistency::Local`](crate::Consistency::Local) also on a node that has lost its majority.
    ///
    /// # Errors
    /// As [`backup`](Self::backup).
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn backup_with(&self, options: ReadOptions) -> Result<Backup> {
        let deadline = self.deadline(options.timeout);
        Ok(Backup::new(self.place.backup(options, deadline).await?))
    }
}
