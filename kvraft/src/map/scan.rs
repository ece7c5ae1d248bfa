//! `Scan` gives the entries of a range one by one, as they stand at one moment.

use super::place::Walk;
use crate::error::Result;
use crate::options::Entry;
use futures_util::stream::{self, BoxStream, StreamExt as _};

/// The entries of a walk, of which one step is held in memory.
pub(super) struct Scan {
    walk: Walk,
    ready: std::vec::IntoIter<Entry>,
}

impl Scan {
    pub(super) fn new(walk: Walk) -> Self {
        Self { walk, ready: Vec::new().into_iter() }
    }

    /// Returns the last revision that was applied at its moment.
    pub(super) fn revision(&self) -> u64 {
        self.walk.revision()
    }

    /// Returns the next entry; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        if let Some(entry) = self.ready.next() {
            return Ok(Some(entry));
        }
        self.ready = self.walk.step().await?.into_iter();
        Ok(self.ready.next())
    }

    /// Goes on until the end, or the first error.
    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Entry>> {
        stream::unfold(Some(self), |scan| async {
            let mut scan = scan?;
            match scan.next().await.transpose()? {
                Ok(entry) => Some((Ok(entry), Some(scan))),
                Err(error) => Some((Err(error), None)),
            }
        })
        // Whoever asks again at the end is told again that it is the end.
        .fuse()
        .boxed()
    }
}
