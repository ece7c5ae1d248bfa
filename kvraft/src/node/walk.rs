//! `Walk` goes through a range of one moment, step by step.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::lent::Lent;
use crate::error::Result;
use crate::options::{Entry, KeyRange, Page, ScanOptions};
use crate::storage::{Order, PageLimits, PageRequest, View};

/// Entries that a page has at most, whatever limit was asked for.
const MAX_PAGE_ENTRIES: usize = 10_000;
/// Bytes that a page has at most, one entry excepted.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// Entries that a walk reads at a time: few enough to be read between two awaits.
const STEP_ENTRIES: usize = 256;
/// Bytes that a walk reads at a time, one entry excepted.
const STEP_BYTES: usize = 1 << 20;
/// How long a walk may hold on to its moment; old pages of the state file stay in use so long.
const PATIENCE: Duration = Duration::from_secs(30);
const ADVICE: &str = "scan in pages, or start again after the last key";

/// Walks one view; nothing in it has to wait.
pub(crate) struct Walk {
    view: Lent,
    revision: u64,
    range: KeyRange,
    options: ScanOptions,
    left: usize,
    more: bool,
}

impl Walk {
    pub(super) fn new(
        core: &Arc<Core>,
        handle: &tokio::runtime::Handle,
        view: Arc<View>,
        range: KeyRange,
        options: ScanOptions,
    ) -> Self {
        let left = options.limit.unwrap_or(usize::MAX);
        let revision = view.revision();
        let view = Lent::new(core, handle, view, (PATIENCE, ADVICE));
        Self { view, revision, range, options, left, more: true }
    }

    /// Returns the last revision that was applied at its moment.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the next entries; none at the end.
    pub(crate) fn step(&mut self) -> Result<Vec<Entry>> {
        if !self.more || self.left == 0 {
            return Ok(Vec::new());
        }
        let limits = PageLimits { entries: STEP_ENTRIES.min(self.left), bytes: STEP_BYTES };
        let view = self.view.view().inspect_err(|_| self.more = false)?;
        let page = read_page(&view, self.range.clone(), limits, self.options)
            .inspect_err(|_| self.more = false)?;
        self.left -= page.entries.len();
        self.more = page.more;
        if let Some(last) = page.entries.last() {
            let bound = Bound::Excluded(last.key.clone());
            if self.options.reverse {
                self.range.end = bound;
            } else {
                self.range.start = bound;
            }
        }
        Ok(page.entries)
    }

    /// Counts the entries that are left.
    pub(crate) fn count(mut self) -> Result<u64> {
        let mut count = 0;
        loop {
            let entries = self.step()?;
            if entries.is_empty() {
                return Ok(count);
            }
            count += entries.len() as u64;
        }
    }
}

/// Reads one page of `range`, within the bounds of a page.
pub(crate) fn page(view: &View, range: KeyRange, options: ScanOptions) -> Result<Page> {
    let limit = options.limit.unwrap_or(MAX_PAGE_ENTRIES).min(MAX_PAGE_ENTRIES);
    read_page(view, range, PageLimits { entries: limit, bytes: MAX_PAGE_BYTES }, options)
}

fn read_page(
    view: &View,
    range: KeyRange,
    limits: PageLimits,
    options: ScanOptions,
) -> Result<Page> {
    let order = if options.reverse { Order::Reverse } else { Order::Forward };
    let request = PageRequest {
        range: (range.start, range.end),
        order,
        limits,
        keys_only: options.keys_only,
    };
    let read = view.page(&request)?;
    let entries = read.items.into_iter().map(|(key, record)| Entry::new(key, record.found()));
    Ok(Page { entries: entries.collect(), more: read.more, revision: view.revision() })
}
