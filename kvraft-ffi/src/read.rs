//! Reading: one key, how many keys.

use std::mem::MaybeUninit;

use kvraft::ReadOptions;

use crate::boundary::{self, Lent};
use crate::bytes::kvraft_bytes;
use crate::entry::kvraft_entry;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::range::{self, kvraft_range};
use crate::read_options::kvraft_read_options;
use crate::status::kvraft_status;

/// Reads the value of a key, with the consistency that is configured: by default it sees every
/// write that was acknowledged anywhere before.
///
/// key, key_len: 1 to 511 bytes of any kind.
/// timeout_ms: how long at most; 0 takes the configured request_timeout.
/// value: where the value goes; free it with kvraft_bytes_free.
/// revision: where the revision of the key's last change goes; may be NULL.
///
/// KVRAFT_NOT_FOUND: there is no such key.
/// KVRAFT_INVALID_ARGUMENT: the key is empty or too long, or an argument is NULL.
/// KVRAFT_UNAVAILABLE: no quorum answered in time.
/// KVRAFT_CORRUPT: the stored bytes are damaged.
/// KVRAFT_CLOSED, KVRAFT_STORAGE.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_get(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    timeout_ms: u32,
    value: Option<&mut MaybeUninit<kvraft_bytes>>,
    revision: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let (value, revision) = (boundary::zeroed(value), boundary::zeroed(revision));
    boundary::call(error, || {
        let map = usable(map)?;
        let value = boundary::required(value, "value")?;
        let options = boundary::within(timeout_ms)
            .map_or_else(ReadOptions::new, |timeout| ReadOptions::new().timeout(timeout));
        let Some(entry) = map.get_with(key.slice(key_len, "key")?, options)? else {
            return Ok(kvraft_status::KVRAFT_NOT_FOUND);
        };
        *value = entry.value.into();
        if let Some(revision) = revision {
            *revision = entry.revision;
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Reads the entry of a key: the value with its revisions and its lease, as fresh as the options
/// ask for.
///
/// key, key_len: 1 to 511 bytes of any kind.
/// options: may be NULL for the defaults; they stay the caller's.
/// entry: where the entry goes; free it with kvraft_entry_free.
///
/// KVRAFT_NOT_FOUND: there is no such key.
/// Errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_get_with(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    options: Option<&kvraft_read_options>,
    entry: Option<&mut MaybeUninit<kvraft_entry>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(entry, "entry", error, || {
        let (map, key) = (usable(map)?, key.slice(key_len, "key")?);
        Ok(map.get_with(key, kvraft_read_options::of(options))?.map(Into::into))
    })
}

/// Counts the keys in a range as they stand at one moment. The whole map is counted at once, a part
/// of it by walking it.
///
/// range, options: stay the caller's; options may be NULL for the defaults.
/// count: where the number goes.
///
/// KVRAFT_COMPACTED: it took longer than 30 seconds.
/// Other errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_count(
    map: Option<&kvraft_map>,
    range: Option<&kvraft_range>,
    options: Option<&kvraft_read_options>,
    count: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let count = boundary::zeroed(count);
    boundary::call(error, || {
        let map = usable(map)?;
        let count = boundary::required(count, "count")?;
        *count = map.count(range::given(range)?, kvraft_read_options::of(options))?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}
