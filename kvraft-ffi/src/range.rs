//! `kvraft_range` says which keys.

use std::mem::{self, MaybeUninit};

use kvraft::KeyRange;

use crate::boundary::{self, Lent};
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// A range of keys, ordered bytewise. Not for several threads at once.
#[derive(Debug)]
pub struct kvraft_range {
    range: KeyRange,
}

/// Returns the range of the caller, which has to be there.
pub(crate) fn given(range: Option<&kvraft_range>) -> Result<KeyRange, kvraft_error> {
    Ok(boundary::required(range, "range")?.range.clone())
}

/// Makes the range of every key.
///
/// range: where it goes; free it with kvraft_range_free.
///
/// KVRAFT_INVALID_ARGUMENT: range is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_all(
    range: Option<&mut MaybeUninit<Option<Box<kvraft_range>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(range, "range", error, || Ok(kvraft_range { range: KeyRange::all() }))
}

/// Makes the range of one key alone.
///
/// key, key_len: are copied.
/// range: where it goes; free it with kvraft_range_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_of_key(
    key: Lent,
    key_len: usize,
    range: Option<&mut MaybeUninit<Option<Box<kvraft_range>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(range, "range", error, || {
        Ok(kvraft_range { range: KeyRange::key(key.slice(key_len, "key")?) })
    })
}

/// Makes the range of the keys that begin with prefix.
///
/// prefix, prefix_len: are copied.
/// range: where it goes; free it with kvraft_range_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_of_prefix(
    prefix: Lent,
    prefix_len: usize,
    range: Option<&mut MaybeUninit<Option<Box<kvraft_range>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(range, "range", error, || {
        Ok(kvraft_range { range: KeyRange::prefix(prefix.slice(prefix_len, "prefix")?) })
    })
}

/// Leaves out the keys before start.
///
/// start, start_len: are copied.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_from(
    range: Option<&mut kvraft_range>,
    start: Lent,
    start_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(range, "range", error, |this| {
        let start = start.slice(start_len, "start")?;
        this.range = mem::replace(&mut this.range, KeyRange::all()).from(start);
        Ok(())
    })
}

/// Leaves out last and the keys before it: the next page after it.
///
/// last, last_len: are copied.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_after(
    range: Option<&mut kvraft_range>,
    last: Lent,
    last_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(range, "range", error, |this| {
        let last = last.slice(last_len, "last")?;
        this.range = mem::replace(&mut this.range, KeyRange::all()).after(last);
        Ok(())
    })
}

/// Leaves out end and the keys after it.
///
/// end, end_len: are copied.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_until(
    range: Option<&mut kvraft_range>,
    end: Lent,
    end_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(range, "range", error, |this| {
        let end = end.slice(end_len, "end")?;
        this.range = mem::replace(&mut this.range, KeyRange::all()).until(end);
        Ok(())
    })
}

/// Frees a range. What was begun with it goes on. Does nothing if range is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_range_free(range: Option<Box<kvraft_range>>) {
    boundary::release(|| range);
}
