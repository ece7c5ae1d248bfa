//! Reading: one key, a page, a scan, a count.

use bytes::Bytes;
use futures_util::Stream;

use super::ReplicatedMap;
use super::scan::Scan;
use crate::error::Result;
use crate::options::{Entry, KeyRange, Page, ReadOptions, ScanOptions, check_key};

impl ReplicatedMap {
    /// Reads the value of `key`, or `None` if it has none; linearizable unless configured otherwise.
    ///
    /// # Errors
    /// `InvalidArgument` for a key of 0 or over 511 bytes, `Unavailable` if no quorum answered in
    /// time, `Corrupt` if the stored bytes are damaged, `Closed`, `Storage`.
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        let entry = self.get_with(key, ReadOptions::default()).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// Reads the entry of `key` with its revisions, as [`get`](Self::get) with options.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn get_with(
        &self,
        key: impl AsRef<[u8]>,
        options: ReadOptions,
    ) -> Result<Option<Entry>> {
        check_key(key.as_ref())?;
        let deadline = self.deadline(options.timeout);
        self.place.get(key.as_ref(), options, deadline).await
    }

    /// Reads one page of the keys in `range`: at most 10,000 entries and about 8 MiB.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    pub async fn page(&self, range: KeyRange, options: ScanOptions) -> Result<Page> {
        let deadline = self.deadline(options.read.timeout);
        self.place.page(range, options, deadline).await
    }

    /// Reads every entry in `range` as it stands at one moment.
    ///
    /// The stream reads on demand and holds little in memory. It keeps its moment for 30 s.
    ///
    /// # Errors
    /// As [`get`](Self::get); the stream itself ends with `Compacted` after 30 s, and with `Closed`
    /// when the node stops, as it does once its last handle is dropped.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use futures_util::TryStreamExt;
    /// use kvraft::{KeyRange, ScanOptions};
    ///
    /// for key in ["b/1", "a/2", "a/1"] {
    ///     map.put(key, "x").await?;
    /// }
    /// let scan = map.scan(KeyRange::prefix("a/"), ScanOptions::new()).await?;
    /// let keys: Vec<_> = scan.map_ok(|entry| entry.key).try_collect().await?;
    /// assert_eq!(keys, ["a/1", "a/2"]);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn scan(
        &self,
        range: KeyRange,
        options: ScanOptions,
    ) -> Result<impl Stream<Item = Result<Entry>> + Send + Unpin + use<>> {
        let deadline = self.deadline(options.read.timeout);
        let walk = self.place.scan(range, options, deadline).await?;
        Ok(Scan::new(walk).into_stream())
    }

    /// Counts the keys in `range` as they stand at one moment; no value is read. The whole map is
    /// counted at once, a range by walking it.
    ///
    /// # Errors
    /// As [`get`](Self::get); `Compacted` if the walk takes longer than 30 s.
    ///
    /// # Cancel safety
    /// Safe: a read has no effect.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use kvraft::{KeyRange, ReadOptions};
    ///
    /// map.put("a/1", "x").await?;
    /// map.put("b/1", "x").await?;
    /// assert_eq!(map.count(KeyRange::prefix("a/"), ReadOptions::new()).await?, 1);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn count(&self, range: KeyRange, options: ReadOptions) -> Result<u64> {
        let deadline = self.deadline(options.timeout);
        self.place.count(range, options, deadline).await
    }
}
