//! Writing: one key, a counter, a range.

use std::mem::MaybeUninit;

use kvraft::WriteOptions;

use crate::boundary::{self, Lent};
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::outcome::kvraft_outcome;
use crate::range::{self, kvraft_range};
use crate::status::kvraft_status;
use crate::write_options::kvraft_write_options;

/// Gives a key a value. Returns when the write is on the disks of a majority and applied; however
/// often it had to be sent, it is applied once or not at all.
///
/// key, key_len: 1 to 511 bytes of any kind; they are copied.
/// value, value_len: up to max_value_bytes of any kind; they are copied. NULL with 0 is empty.
/// timeout_ms: how long at most; 0 takes the configured request_timeout.
/// revision: where the revision of the change goes; may be NULL.
///
/// KVRAFT_INVALID_ARGUMENT: the key is empty or too long, the value is too long, or an argument is
/// NULL.
/// KVRAFT_UNAVAILABLE, KVRAFT_OVERLOADED, KVRAFT_FULL: nothing was done.
/// KVRAFT_INDETERMINATE: the time was over after the write had been sent.
/// KVRAFT_CLOSED, KVRAFT_STORAGE.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_put(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    value: Lent,
    value_len: usize,
    timeout_ms: u32,
    revision: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let revision = boundary::zeroed(revision);
    boundary::call(error, || {
        let map = usable(map)?;
        let key = key.slice(key_len, "key")?;
        let put = map.put_with(key, value.slice(value_len, "value")?, within(timeout_ms))?;
        if let Some(revision) = revision {
            *revision = put.revision;
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Gives a key a value under a condition, with a time to live or a lease, once for a request id, as
/// the options ask for.
///
/// key, key_len, value, value_len: as for kvraft_put.
/// options: may be NULL for the defaults; they stay the caller's.
/// outcome: where goes what was done; may be NULL; free it with kvraft_outcome_free.
///
/// KVRAFT_CONFLICT: the condition does not hold; kvraft_error_revision has the current revision.
/// KVRAFT_EXPIRED: the lease has ended.
/// KVRAFT_OVERLOADED: also if too many request ids are remembered.
/// Other errors: those of kvraft_put.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_put_with(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    value: Lent,
    value_len: usize,
    options: Option<&kvraft_write_options>,
    outcome: Option<&mut MaybeUninit<kvraft_outcome>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let outcome = boundary::zeroed(outcome);
    boundary::call(error, || {
        let map = usable(map)?;
        let (key, value) = (key.slice(key_len, "key")?, value.slice(value_len, "value")?);
        let put = map.put_with(key, value, kvraft_write_options::of(options))?;
        if let Some(outcome) = outcome {
            *outcome = put.into();
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Takes a key and its value away.
///
/// key, key_len: 1 to 511 bytes of any kind; they are copied.
/// timeout_ms: how long at most; 0 takes the configured request_timeout.
/// revision: where the revision of the change goes, also if there was no such key; may be NULL.
///
/// KVRAFT_NOT_FOUND: there was no such key.
/// Errors: those of kvraft_put, without KVRAFT_FULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_delete(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    timeout_ms: u32,
    revision: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let revision = boundary::zeroed(revision);
    boundary::call(error, || {
        let map = usable(map)?;
        let deleted = map.delete_with(key.slice(key_len, "key")?, within(timeout_ms))?;
        if let Some(revision) = revision {
            *revision = deleted.revision;
        }
        Ok(boundary::yes(deleted.existed))
    })
}

/// Takes a key and its value away under a condition, or once for a request id, as the options ask
/// for.
///
/// key, key_len: as for kvraft_delete.
/// options: may be NULL for the defaults; they stay the caller's.
/// outcome: where goes what was done, also if there was no such key; may be NULL; free it with
/// kvraft_outcome_free.
///
/// KVRAFT_NOT_FOUND: there was no such key, and no condition against that.
/// Errors: those of kvraft_put_with, without KVRAFT_FULL; KVRAFT_INVALID_ARGUMENT also for a time to
/// live or a lease.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_delete_with(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    options: Option<&kvraft_write_options>,
    outcome: Option<&mut MaybeUninit<kvraft_outcome>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let outcome = boundary::zeroed(outcome);
    boundary::call(error, || {
        let map = usable(map)?;
        let key = key.slice(key_len, "key")?;
        let deleted = map.delete_with(key, kvraft_write_options::of(options))?;
        let status = boundary::yes(deleted.existed);
        if let Some(outcome) = outcome {
            *outcome = deleted.into();
        }
        Ok(status)
    })
}

/// Adds to the decimal number under a key, which counts as 0 if there is none. Exact however often
/// it had to be sent.
///
/// key, key_len: as for kvraft_put.
/// options: may be NULL for the defaults; they stay the caller's.
/// number: where the sum goes; may be NULL.
/// revision: where the revision of the change goes; may be NULL.
///
/// KVRAFT_INVALID_ARGUMENT: the value is no decimal number of 64 bits, or the sum would be none; a
/// time to live or a lease is in the options; or as for kvraft_put.
/// Other errors: those of kvraft_put_with.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_increment(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    delta: i64,
    options: Option<&kvraft_write_options>,
    number: Option<&mut MaybeUninit<i64>>,
    revision: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let (number, revision) = (boundary::zeroed(number), boundary::zeroed(revision));
    boundary::call(error, || {
        let map = usable(map)?;
        let key = key.slice(key_len, "key")?;
        let sum = map.increment_with(key, delta, kvraft_write_options::of(options))?;
        if let Some(number) = number {
            *number = sum.value;
        }
        if let Some(revision) = revision {
            *revision = sum.revision;
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Takes every key in a range away, at once.
///
/// range, options: stay the caller's; options may be NULL for the defaults.
/// deleted: where the number of keys goes that were there; may be NULL.
/// revision: where the revision of the change goes; may be NULL.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or the options ask for what only one key can have.
/// Other errors: those of kvraft_delete.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_delete_range(
    map: Option<&kvraft_map>,
    range: Option<&kvraft_range>,
    options: Option<&kvraft_write_options>,
    deleted: Option<&mut MaybeUninit<u64>>,
    revision: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let (deleted, revision) = (boundary::zeroed(deleted), boundary::zeroed(revision));
    boundary::call(error, || {
        let map = usable(map)?;
        let gone = map.delete_range(range::given(range)?, kvraft_write_options::of(options))?;
        if let Some(deleted) = deleted {
            *deleted = gone.deleted;
        }
        if let Some(revision) = revision {
            *revision = gone.revision;
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

fn within(timeout_ms: u32) -> WriteOptions {
    boundary::within(timeout_ms)
        .map_or_else(WriteOptions::new, |timeout| WriteOptions::new().timeout(timeout))
}
