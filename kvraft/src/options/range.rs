//! `KeyRange` says which keys, `ScanOptions` how they are read, `Page` what one read gives.

use std::ops::Bound;

use bytes::Bytes;

use super::{Entry, ReadOptions};

/// A range of keys, ordered bytewise. Each method narrows it.
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use kvraft::{KeyRange, ScanOptions};
///
/// for key in ["a/1", "a/2", "a/3", "b/1"] {
///     map.put(key, "").await?;
/// }
/// // Page by page: go on after the last key.
/// let two = ScanOptions::new().limit(2).keys_only();
/// let first = map.page(KeyRange::prefix("a/"), two).await?;
/// assert!(first.more);
/// let last = &first.entries[1].key;
/// let rest = map.page(KeyRange::prefix("a/").after(last), two).await?;
/// assert_eq!(rest.entries[0].key, "a/3");
/// assert!(!rest.more);
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: Bound<Bytes>,
    pub(crate) end: Bound<Bytes>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub const fn all() -> Self {
        Self { start: Bound::Unbounded, end: Bound::Unbounded }
    }

    /// One key alone.
    #[must_use]
    pub fn key(key: impl AsRef<[u8]>) -> Self {
        let key = Bytes::copy_from_slice(key.as_ref());
        Self { start: Bound::Included(key.clone()), end: Bound::Included(key) }
    }

    /// The keys that begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Self {
        let prefix = prefix.as_ref();
        let end = prefix_end(prefix).map_or(Bound::Unbounded, |end| Bound::Excluded(end.into()));
        Self { start: Bound::Included(Bytes::copy_from_slice(prefix)), end }
    }

    /// Leaves out the keys before `start`.
    #[must_use]
    pub fn from(mut self, start: impl AsRef<[u8]>) -> Self {
        let start = Bytes::copy_from_slice(start.as_ref());
        if lower_value(&self.start).is_none_or(|old| *old < start) {
            self.start = Bound::Included(start);
        }
        self
    }

    /// Leaves out `last` and the keys before it, as the next page after `last` does.
    #[must_use]
    pub fn after(mut self, last: impl AsRef<[u8]>) -> Self {
        let last = Bytes::copy_from_slice(last.as_ref());
        if lower_value(&self.start).is_none_or(|old| *old <= last) {
            self.start = Bound::Excluded(last);
        }
        self
    }

    /// Leaves out `end` and the keys after it.
    #[must_use]
    pub fn until(mut self, end: impl AsRef<[u8]>) -> Self {
        let end = Bytes::copy_from_slice(end.as_ref());
        let tighter = match &self.end {
            Bound::Unbounded => true,
            Bound::Included(old) => *old >= end,
            Bound::Excluded(old) => *old > end,
        };
        if tighter {
            self.end = Bound::Excluded(end);
        }
        self
    }
}

const fn lower_value(bound: &Bound<Bytes>) -> Option<&Bytes> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// Returns the first key after all keys with this prefix, or `None` if there is none.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// What a scan may ask for. The default reads keys and values in order, without a limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanOptions {
    pub(crate) read: ReadOptions,
    pub(crate) limit: Option<usize>,
    pub(crate) reverse: bool,
    pub(crate) keys_only: bool,
}

impl ScanOptions {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how fresh the scan must be, and its deadline for the first entry.
    #[must_use]
    pub const fn read(mut self, read: ReadOptions) -> Self {
        self.read = read;
        self
    }

    /// Ends the scan, or the page, after this many entries.
    #[must_use]
    pub const fn limit(mut self, entries: usize) -> Self {
        self.limit = Some(entries);
        self
    }

    /// Goes from the last key to the first.
    #[must_use]
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// Leaves the values empty.
    #[must_use]
    pub const fn keys_only(mut self) -> Self {
        self.keys_only = true;
        self
    }
}

/// A part of a scan that is consistent in itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of the scan; all of one moment.
    pub entries: Vec<Entry>,
    /// Whether the range holds more. Go on [`after`](KeyRange::after) the last key.
    pub more: bool,
    /// The last revision that this node had applied at that moment.
    pub revision: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(KeyRange::prefix("ab").end, Bound::Excluded(Bytes::from_static(b"ac")));
        assert_eq!(KeyRange::prefix(b"a\xff").end, Bound::Excluded(Bytes::from_static(b"b")));
        assert_eq!(KeyRange::prefix(b"\xff\xff").end, Bound::Unbounded);
        assert_eq!(KeyRange::prefix("").end, Bound::Unbounded);
    }

    #[test]
    fn bounds_only_ever_narrow_a_range() {
        let range = KeyRange::prefix("b").from("a").after("a").until("z");
        assert_eq!(range, KeyRange::prefix("b"));
        assert_eq!(
            KeyRange::prefix("b").after("b").start,
            Bound::Excluded(Bytes::from_static(b"b"))
        );
        assert_eq!(
            KeyRange::all().until("c").until("b").end,
            Bound::Excluded(Bytes::from_static(b"b"))
        );
    }
}
