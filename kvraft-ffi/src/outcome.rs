//! `kvraft_outcome` is what a call for one key has done.

use std::mem;

use kvraft::{Deleted, Entry, Incremented, Put};

use crate::boundary;
use crate::entry::kvraft_entry;

/// What a call for one key has done, or found.
#[derive(Debug, Default)]
#[repr(C)]
pub struct kvraft_outcome {
    /// The revision of the change; of a read, that of the entry's last one.
    pub revision: u64,
    /// After an increment, the number under the key; 0 otherwise.
    pub number: i64,
    /// Whether the key had a value before the call.
    pub existed: bool,
    /// After a read, the entry. After a put or delete whose options asked for the previous entry,
    /// that one, if there was one. Its key is NULL if there is none.
    pub entry: kvraft_entry,
}

impl From<Entry> for kvraft_outcome {
    fn from(entry: Entry) -> Self {
        Self { revision: entry.revision, existed: true, entry: entry.into(), number: 0 }
    }
}

impl From<Put> for kvraft_outcome {
    fn from(put: Put) -> Self {
        let entry = put.previous.map_or_else(kvraft_entry::default, Into::into);
        Self { revision: put.revision, existed: put.replaced, entry, number: 0 }
    }
}

impl From<Deleted> for kvraft_outcome {
    fn from(deleted: Deleted) -> Self {
        let entry = deleted.previous.map_or_else(kvraft_entry::default, Into::into);
        Self { revision: deleted.revision, existed: deleted.existed, entry, number: 0 }
    }
}

impl From<Incremented> for kvraft_outcome {
    fn from(sum: Incremented) -> Self {
        Self { revision: sum.revision, number: sum.value, ..Self::default() }
    }
}

/// Frees the entry of an outcome and zeroes the struct. Does nothing if outcome is NULL or the
/// struct is zeroed.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_outcome_free(outcome: Option<&mut kvraft_outcome>) {
    boundary::release(|| outcome.map(mem::take));
}
