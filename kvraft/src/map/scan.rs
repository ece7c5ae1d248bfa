//! `Scan` walks a range as it stands at one moment, step by step.

use std::ops::Bound;
use std::time::Duration;

use crate::error::Result;
use crate::node::{Lent, Order, PageLimits, PageRequest, View};
use crate::options::{Entry, KeyRange, Page, ScanOptions};

/// Entries that a page has at most, whatever limit was asked for.
const MAX_PAGE_ENTRIES: usize = 10_000;
/// Bytes that a page has at most, one entry excepted.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// Entries that a scan reads at a time: few enough to be read between two awaits.
const SCAN_STEP_ENTRIES: usize = 256;
/// Bytes that a scan reads at a time, one entry excepted.
const SCAN_STEP_BYTES: usize = 1 << 20;
/// How long a scan may hold on to its moment; old pages of the state file stay in use so long.
pub(super) const SCAN_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads one page of `range`, within the bounds of a page.
pub(super) fn page(view: &View, range: KeyRange, options: ScanOptions) -> Result<Page> {
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

/// Counts the keys of `range` without reading a value.
pub(super) fn count(lent: Lent, range: KeyRange) -> Result<u64> {
    let mut scan = Scan::new(lent, range, ScanOptions::new().keys_only());
    scan.try_fold(0, |count, entry| entry.map(|_| count + 1))
}

/// Walks one view in steps; an iterator, since nothing in it has to wait.
pub(super) struct Scan {
    view: Lent,
    range: KeyRange,
    options: ScanOptions,
    left: usize,
    ready: std::vec::IntoIter<Entry>,
    more: bool,
}

impl Iterator for Scan {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.ready.next() {
            return Some(Ok(entry));
        }
        if !self.more || self.left == 0 {
            return None;
        }
        match self.step() {
            Ok(()) => self.ready.next().map(Ok),
            Err(error) => {
                self.more = false;
                Some(Err(error))
            }
        }
    }
}

impl Scan {
    pub(super) fn new(view: Lent, range: KeyRange, options: ScanOptions) -> Self {
        let left = options.limit.unwrap_or(usize::MAX);
        Self { view, range, options, left, ready: Vec::new().into_iter(), more: true }
    }

    fn step(&mut self) -> Result<()> {
        let view = self.view.view()?;
        let limits =
            PageLimits { entries: SCAN_STEP_ENTRIES.min(self.left), bytes: SCAN_STEP_BYTES };
        let page = read_page(&view, self.range.clone(), limits, self.options)?;
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
        self.ready = page.entries.into_iter();
        Ok(())
    }
}
