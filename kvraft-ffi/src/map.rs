//! `kvraft_map` is the handle of an open map: a member, or a client of members.

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::time::Duration;

use kvraft::blocking::ReplicatedMap;

use crate::boundary;
use crate::client_config::kvraft_client_config;
use crate::config::kvraft_config;
use crate::error::kvraft_error;
use crate::held::Held;
use crate::signals;
use crate::status::kvraft_status;
use crate::tasks::Tasks;

/// An open map: one member of its cluster, which lives in this process on threads of its own
/// (kvraft_open), or a client without a disk or a vote (kvraft_connect).
///
/// Any number of threads may use it at once.
#[derive(Debug)]
pub struct kvraft_map {
    inner: Held<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// For calls that go on while their caller does something else.
    pub(crate) map: kvraft::ReplicatedMap,
    pub(crate) blocking: ReplicatedMap,
    /// Started by the first call with a callback.
    tasks: OnceLock<Tasks>,
}

impl kvraft_map {
    fn new(map: kvraft::ReplicatedMap) -> Self {
        let blocking = ReplicatedMap::from(map.clone());
        Self { inner: Held::new(Inner { map, blocking, tasks: OnceLock::new() }) }
    }
}

impl Inner {
    /// Returns the thread for calls with a callback.
    pub(crate) fn tasks(&self) -> Result<&Tasks, kvraft_error> {
        if let Some(tasks) = self.tasks.get() {
            return Ok(tasks);
        }
        // Of two that are started at once, one has nothing to do and ends.
        let started = Tasks::start()?;
        Ok(self.tasks.get_or_init(|| started))
    }
}

/// Returns what is behind a handle that can be used in this process.
pub(crate) fn inner(map: Option<&kvraft_map>) -> Result<&Inner, kvraft_error> {
    boundary::required(map, "map")?.inner.get()
}

/// Returns the map behind a handle that can be used in this process.
pub(crate) fn usable(map: Option<&kvraft_map>) -> Result<&ReplicatedMap, kvraft_error> {
    Ok(&inner(map)?.blocking)
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
    boundary::make(map, "map", error, || {
        let config = boundary::required(config, "config")?.settings();
        Ok(kvraft_map::new(signals::apart(kvraft::ReplicatedMap::open(config))?))
    })
}

/// Connects to the members of a cluster as a client: without a disk or a vote, for processes that
/// come and go. All functions take such a map too; its reads cross the network.
///
/// config: is read, and stays the caller's.
/// map: where the handle goes; end it with kvraft_close, then kvraft_free.
///
/// KVRAFT_INVALID_ARGUMENT: a setting is wrong or missing, or an argument is NULL.
/// KVRAFT_UNAVAILABLE: no endpoint has answered within request_timeout.
/// KVRAFT_UNAUTHORIZED: the members have another secret or authority.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_connect(
    config: Option<&kvraft_client_config>,
    map: Option<&mut MaybeUninit<Option<Box<kvraft_map>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(map, "map", error, || {
        let config = boundary::required(config, "config")?.settings();
        Ok(kvraft_map::new(signals::apart(kvraft::ReplicatedMap::connect(config))?))
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

/// Stops the node and waits until it has: hands leadership over, finishes what was begun, closes
/// files and socket. A client takes its leave.
///
/// May be called while other threads are in calls with the same handle: they return KVRAFT_CLOSED,
/// as do all calls from then on, and callbacks are called with it. Doing it again does nothing. The
/// handle still has to be freed.
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
/// A node that was not closed stops in the background, without handing leadership over, as soon as
/// its leases, locks and calls with a callback are over too. In a forked child it does nothing,
/// since the node is the parent's.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_free(map: Option<Box<kvraft_map>>) {
    boundary::release(|| map);
}
