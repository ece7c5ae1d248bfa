//! `kvraft_entry` is a key with its value and its history.

use std::mem;
use std::ptr;

use kvraft::{Entry, LeaseId};

use crate::boundary;

/// What keeps the bytes of a kvraft_entry alive.
#[derive(Debug)]
pub struct kvraft_entry_owner {
    _entry: Entry,
}

/// A key with its value and its history. Read its fields, change nothing.
///
/// An entry that a function gives to its caller is freed with kvraft_entry_free. One that is part of
/// something else (a page, an event, the result of a transaction) lives as long as that, and is not
/// freed: kvraft_entry_free does nothing to it but zero it. That of an outcome is freed with it.
///
/// key is NULL if there is no entry. The bytes may be read by any number of threads.
#[derive(Debug)]
#[repr(C)]
pub struct kvraft_entry {
    /// 1 to 511 bytes.
    pub key: *const u8,
    /// How many bytes the key has.
    pub key_len: usize,
    /// Not NULL if there is an entry, even if value_len is 0. Empty in a scan of keys only.
    pub value: *const u8,
    /// How many bytes the value has.
    pub value_len: usize,
    /// The revision of the last change.
    pub revision: u64,
    /// The revision at which the key was created; a delete ends its life.
    pub created: u64,
    /// The lease that the entry ends with; 0 if there is none.
    pub lease: u64,
    /// The library's own: leave it alone.
    pub owner: Option<Box<kvraft_entry_owner>>,
}

impl Default for kvraft_entry {
    fn default() -> Self {
        Self {
            key: ptr::null(),
            key_len: 0,
            value: ptr::null(),
            value_len: 0,
            revision: 0,
            created: 0,
            lease: 0,
            owner: None,
        }
    }
}

impl kvraft_entry {
    /// Shows an entry that something else keeps alive.
    pub(crate) fn part(entry: &Entry) -> Self {
        Self {
            key: entry.key.as_ptr(),
            key_len: entry.key.len(),
            value: entry.value.as_ptr(),
            value_len: entry.value.len(),
            revision: entry.revision,
            created: entry.created,
            lease: entry.lease.map_or(0, LeaseId::number),
            owner: None,
        }
    }

    /// Shows an entry, if there is one, that something else keeps alive.
    pub(crate) fn part_of(entry: Option<&Entry>) -> Self {
        entry.map_or_else(Self::default, Self::part)
    }
}

impl From<Entry> for kvraft_entry {
    fn from(entry: Entry) -> Self {
        let shown = Self::part(&entry);
        Self { owner: Some(Box::new(kvraft_entry_owner { _entry: entry })), ..shown }
    }
}

/// Frees an entry and zeroes the struct, so that doing it twice does no harm. Does nothing if entry is
/// NULL or the struct is zeroed. A copy of the struct is the same entry: free one of them.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_entry_free(entry: Option<&mut kvraft_entry>) {
    boundary::release(|| entry.map(mem::take));
}

/// Takes an entry out of what it is part of, so that it outlives it: of an outcome that a callback
/// got. What is left there is zeroed. Nothing is copied.
///
/// Returns the entry: free it with kvraft_entry_free. It has no key if entry is NULL, or has none.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_entry_take(entry: Option<&mut kvraft_entry>) -> kvraft_entry {
    entry.map(mem::take).unwrap_or_default()
}
