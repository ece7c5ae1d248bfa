//! `kvraft_watch_event` is what a watch tells at a time.

use std::mem::MaybeUninit;
use std::ptr;

use kvraft::{Change, Entry, WatchEvent};

use crate::boundary;
use crate::entry::kvraft_entry;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// What an event of a watch tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub enum kvraft_watch_event_kind {
    /// Nothing that this version knows: skip it.
    #[default]
    KVRAFT_WATCH_NOTHING = 0,
    /// All changes of one revision in the watched range, each key at most once.
    KVRAFT_WATCH_CHANGES = 1,
    /// All entries follow as they stood at this revision: forget what was told before.
    KVRAFT_WATCH_SNAPSHOT_BEGIN = 2,
    /// Some entries of the snapshot, in the order of their keys over all events.
    KVRAFT_WATCH_SNAPSHOT_ENTRIES = 3,
    /// The snapshot is complete; changes after its revision follow.
    KVRAFT_WATCH_SNAPSHOT_END = 4,
}

/// What became of one key. Its parts live as long as the event.
#[derive(Debug)]
#[repr(C)]
pub struct kvraft_change {
    /// 1 to 511 bytes.
    pub key: *const u8,
    /// How many bytes the key has.
    pub key_len: usize,
    /// The entry now; its key is NULL if the key was deleted, or ended with its lease.
    pub entry: kvraft_entry,
    /// The entry before, if it was asked for and there was one; its key is NULL otherwise.
    pub previous: kvraft_entry,
}

impl Default for kvraft_change {
    fn default() -> Self {
        let (entry, previous) = (kvraft_entry::default(), kvraft_entry::default());
        Self { key: ptr::null(), key_len: 0, entry, previous }
    }
}

impl From<&Change> for kvraft_change {
    fn from(change: &Change) -> Self {
        Self {
            key: change.key.as_ptr(),
            key_len: change.key.len(),
            entry: kvraft_entry::part_of(change.entry.as_ref()),
            previous: kvraft_entry::part_of(change.previous.as_ref()),
        }
    }
}

impl From<&Entry> for kvraft_change {
    fn from(entry: &Entry) -> Self {
        Self {
            key: entry.key.as_ptr(),
            key_len: entry.key.len(),
            entry: kvraft_entry::part(entry),
            previous: kvraft_entry::default(),
        }
    }
}

/// What a watch tells at a time. It never changes: any number of threads may read it.
#[derive(Debug)]
pub struct kvraft_watch_event {
    event: WatchEvent,
}

impl From<WatchEvent> for kvraft_watch_event {
    fn from(event: WatchEvent) -> Self {
        Self { event }
    }
}

/// Returns what the event tells; KVRAFT_WATCH_NOTHING if event is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_event_what(
    event: Option<&kvraft_watch_event>,
) -> kvraft_watch_event_kind {
    boundary::ask(event, |this| match &this.event {
        WatchEvent::Changes { .. } => kvraft_watch_event_kind::KVRAFT_WATCH_CHANGES,
        WatchEvent::SnapshotBegin { .. } => kvraft_watch_event_kind::KVRAFT_WATCH_SNAPSHOT_BEGIN,
        WatchEvent::SnapshotEntries(_) => kvraft_watch_event_kind::KVRAFT_WATCH_SNAPSHOT_ENTRIES,
        WatchEvent::SnapshotEnd { .. } => kvraft_watch_event_kind::KVRAFT_WATCH_SNAPSHOT_END,
        // `WatchEvent` is open for other crates.
        _ => kvraft_watch_event_kind::KVRAFT_WATCH_NOTHING,
    })
}

/// Returns the revision of the changes or of the snapshot, larger than that of any event before; 0
/// for entries of a snapshot, or if event is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_event_revision(event: Option<&kvraft_watch_event>) -> u64 {
    boundary::ask(event, |this| match &this.event {
        WatchEvent::Changes { revision, .. }
        | WatchEvent::SnapshotBegin { revision }
        | WatchEvent::SnapshotEnd { revision } => *revision,
        // `WatchEvent` is open for other crates.
        WatchEvent::SnapshotEntries(_) | _ => 0,
    })
}

/// Returns how many changes, or entries of a snapshot, the event has; 0 if event is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_event_count(event: Option<&kvraft_watch_event>) -> usize {
    boundary::ask(event, |this| match &this.event {
        WatchEvent::Changes { changes, .. } => changes.len(),
        WatchEvent::SnapshotEntries(entries) => entries.len(),
        // `WatchEvent` is open for other crates.
        WatchEvent::SnapshotBegin { .. } | WatchEvent::SnapshotEnd { .. } | _ => 0,
    })
}

/// Shows one change, or one entry of a snapshot as a change; it lives as long as the event.
///
/// index: counts from 0.
/// change: where it goes.
///
/// KVRAFT_NOT_FOUND: the event has none of that index.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_event_change(
    event: Option<&kvraft_watch_event>,
    index: usize,
    change: Option<&mut MaybeUninit<kvraft_change>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(change, "change", error, || {
        Ok(match &boundary::required(event, "event")?.event {
            WatchEvent::Changes { changes, .. } => changes.get(index).map(Into::into),
            WatchEvent::SnapshotEntries(entries) => entries.get(index).map(Into::into),
            // `WatchEvent` is open for other crates.
            WatchEvent::SnapshotBegin { .. } | WatchEvent::SnapshotEnd { .. } | _ => None,
        })
    })
}

/// Frees an event and its entries. Does nothing if event is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_event_free(event: Option<Box<kvraft_watch_event>>) {
    boundary::release(|| event);
}
