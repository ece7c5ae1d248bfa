//! `kvraft_page` is a part of a scan that is consistent in itself.

use std::mem::MaybeUninit;

use kvraft::Page;

use crate::boundary;
use crate::entry::kvraft_entry;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::range::{self, kvraft_range};
use crate::scan_options::kvraft_scan_options;
use crate::status::kvraft_status;

/// Some entries of a range, all of one moment. It never changes: any number of threads may read it.
#[derive(Debug)]
pub struct kvraft_page {
    page: Page,
}

/// Reads one page of the keys in a range: at most 10,000 entries and about 8 MiB.
///
/// range, options: stay the caller's; options may be NULL for the defaults.
/// page: where the page goes; free it with kvraft_page_free.
///
/// Errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_read(
    map: Option<&kvraft_map>,
    range: Option<&kvraft_range>,
    options: Option<&kvraft_scan_options>,
    page: Option<&mut MaybeUninit<Option<Box<kvraft_page>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(page, "page", error, || {
        let map = usable(map)?;
        let page = map.page(range::given(range)?, kvraft_scan_options::of(options))?;
        Ok(kvraft_page { page })
    })
}

/// Returns how many entries the page has; 0 if page is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_count(page: Option<&kvraft_page>) -> usize {
    boundary::ask(page, |this| this.page.entries.len())
}

/// Returns whether the range holds more: go on after the last key with kvraft_range_after. false if
/// page is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_has_more(page: Option<&kvraft_page>) -> bool {
    boundary::ask(page, |this| this.page.more)
}

/// Returns the last revision that was applied at the moment of the page; 0 if page is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_revision(page: Option<&kvraft_page>) -> u64 {
    boundary::ask(page, |this| this.page.revision)
}

/// Shows one entry of the page; it lives as long as the page.
///
/// index: counts from 0, in the order of the scan.
/// entry: where it goes.
///
/// KVRAFT_NOT_FOUND: the page has no entry of that index.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_entry(
    page: Option<&kvraft_page>,
    index: usize,
    entry: Option<&mut MaybeUninit<kvraft_entry>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(entry, "entry", error, || {
        let page = boundary::required(page, "page")?;
        Ok(page.page.entries.get(index).map(kvraft_entry::part))
    })
}

/// Frees a page and its entries. Does nothing if page is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_page_free(page: Option<Box<kvraft_page>>) {
    boundary::release(|| page);
}
