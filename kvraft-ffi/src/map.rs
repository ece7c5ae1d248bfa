//! `kvraft_map` is the handle of an open map.

use std::mem::MaybeUninit;
use std::process;
use std::time::Duration;

use kvraft::blocking::ReplicatedMap;
use kvraft::{ReadOptions, WriteOptions};

use crate::boundary::{self, Lent};
use crate::bytes::kvraft_bytes;
use crate::config::kvraft_config;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// An open map: one member of its cluster, which lives in this process on threads of its own.
///
/// Any number of threads may use it at once.
#[derive(Debug)]
pub struct kvraft_map {
    map: ReplicatedMap,
    /// The process that has the node's threads; a forked child has none of them.
    opened_by: u32,
}

impl kvraft_map {
    fn is_of_this_process(&self) -> bool {
        self.opened_by == process::id()
    }
}

/// Returns the map behind a handle that can be used in this process.
pub(crate) fn usable(map: Option<&kvraft_map>) -> Result<&ReplicatedMap, kvraft_error> {
    let map = boundary::required(map, "map")?;
    if map.is_of_this_process() {
        return Ok(&map.map);
    }
    Err(kvraft_error::closed(
        "this process was forked after the map was opened, and a fork takes no threads along; open \
         a map of its own here, in another data directory, or fork before opening",
    ))
}

/// Opens the node whose data lies in the configured directory, and starts it.
///
/// Returns when the node has recovered what its disk holds. A leader may not be known yet:
/// kvraft_wait_ready waits for one, and so does every call within its timeout.
///
/// config: is read, and stays the caller's.
/// map: where the handle goes; end it with kvraft_close, then kvraft_free.
///
/// KVRAFT_INVALID_ARGUMENT: a setting is wrong or missing, or an argument is NULL.
/// KVRAFT_REFUSED: the directory is in use, or belongs to another node.
/// KVRAFT_CORRUPT: the directory cannot be trusted, or is of a newer version.
/// KVRAFT_STORAGE: the disk or the socket failed.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_open(
    config: Option<&kvraft_config>,
    map: Option<&mut MaybeUninit<Option<Box<kvraft_map>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let map = boundary::zeroed(map);
    boundary::call(error, || {
        let map = boundary::required(map, "map")?;
        let config = boundary::required(config, "config")?;
        let opened = ReplicatedMap::open(config.settings())?;
        *map = Some(Box::new(kvraft_map { map: opened, opened_by: process::id() }));
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Waits until this node has recovered and knows a leader.
///
/// timeout_ms: how long at most; 0 looks and does not wait.
///
/// KVRAFT_UNAVAILABLE: not within that time.
/// KVRAFT_CLOSED, or the error that stopped the node.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_wait_ready(
    map: Option<&kvraft_map>,
    timeout_ms: u32,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.wait_ready(Duration::from_millis(timeout_ms.into()))?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

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
        let options = within(timeout_ms)
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
        let put = map.put_with(key, value.slice(value_len, "value")?, write_options(timeout_ms))?;
        if let Some(revision) = revision {
            *revision = put.revision;
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
        let deleted = map.delete_with(key.slice(key_len, "key")?, write_options(timeout_ms))?;
        if let Some(revision) = revision {
            *revision = deleted.revision;
        }
        Ok(if deleted.existed { kvraft_status::KVRAFT_OK } else { kvraft_status::KVRAFT_NOT_FOUND })
    })
}

/// Stops the node and waits until it has: hands leadership over, finishes what was begun, closes
/// files and socket.
///
/// May be called while other threads are in calls with the same handle: they return KVRAFT_CLOSED,
/// as do all calls from then on. Doing it again does nothing. The handle still has to be freed.
///
/// KVRAFT_STORAGE: the last writes to the disk failed; the node is stopped all the same.
/// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_close(
    map: Option<&kvraft_map>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.close()?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Frees a handle; no other thread may be in a call with it, nor use it later. Does nothing if map
/// is NULL.
///
/// A node that was not closed stops in the background, without handing leadership over. In a
/// forked child it does nothing, since the node is the parent's.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_free(map: Option<Box<kvraft_map>>) {
    boundary::release(|| match map {
        // Stopping the node would wait for threads that this process does not have, and close
        // what the parent still uses.
        Some(map) if !map.is_of_this_process() => {
            Box::leak(map);
            None
        }
        map => map,
    });
}

fn within(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms.into()))
}

fn write_options(timeout_ms: u32) -> WriteOptions {
    within(timeout_ms)
        .map_or_else(WriteOptions::new, |timeout| WriteOptions::new().timeout(timeout))
}
