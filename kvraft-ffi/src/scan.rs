//! `kvraft_scan` reads the entries of a range one by one, as they stand at one moment.

use std::fmt;
use std::mem::MaybeUninit;

use kvraft::Entry;

use crate::boundary;
use crate::entry::kvraft_entry;
use crate::error::kvraft_error;
use crate::held::Held;
use crate::map::{kvraft_map, usable};
use crate::range::{self, kvraft_range};
use crate::scan_options::kvraft_scan_options;
use crate::status::kvraft_status;

/// A scan under way. It reads on demand, holds little in memory, and keeps its moment for 30
/// seconds. Not for several threads at once.
#[derive(Debug)]
pub struct kvraft_scan {
    entries: Held<Entries>,
}

struct Entries(Box<dyn Iterator<Item = kvraft::Result<Entry>> + Send>);

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

/// Begins to read every entry in a range as it stands at one moment.
///
/// range, options: stay the caller's; options may be NULL for the defaults.
/// scan: where the scan goes; free it with kvraft_scan_free, before or after the map.
///
/// Errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_new(
    map: Option<&kvraft_map>,
    range: Option<&kvraft_range>,
    options: Option<&kvraft_scan_options>,
    scan: Option<&mut MaybeUninit<Option<Box<kvraft_scan>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(scan, "scan", error, || {
        let map = usable(map)?;
        let entries = map.scan(range::given(range)?, kvraft_scan_options::of(options))?;
        Ok(kvraft_scan { entries: Held::new(Entries(Box::new(entries))) })
    })
}

/// Reads the next entry.
///
/// entry: where it goes; free it with kvraft_entry_free.
///
/// KVRAFT_NOT_FOUND: there is none any more.
/// KVRAFT_COMPACTED: the scan is older than 30 seconds. Begin another after the last key.
/// KVRAFT_CLOSED: the map was closed.
/// Other errors: those of kvraft_get. After an error the scan is at its end.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_next(
    scan: Option<&mut kvraft_scan>,
    entry: Option<&mut MaybeUninit<kvraft_entry>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(entry, "entry", error, || {
        let next = boundary::required(scan, "scan")?.entries.get_mut()?.0.next();
        Ok(next.transpose()?.map(Into::into))
    })
}

/// Ends a scan and frees it. Does nothing if scan is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_free(scan: Option<Box<kvraft_scan>>) {
    boundary::release(|| scan);
}
