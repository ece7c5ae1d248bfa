//! `kvraft_lease` is a span of time that keys and locks end with.

use std::mem::MaybeUninit;
use std::time::Duration;

use futures_executor::block_on;
use kvraft::{Lease, LeaseId, ReplicatedMap};

use crate::boundary;
use crate::error::kvraft_error;
use crate::held::Held;
use crate::lease_info::kvraft_lease_info;
use crate::map::{inner, kvraft_map, usable};
use crate::read_options::kvraft_read_options;
use crate::shared::Shared;
use crate::status::kvraft_status;

/// A lease that is kept alive for as long as this is not freed.
///
/// Any number of threads may use it at once, except for kvraft_lease_free: one may wait for its end
/// while another works and revokes it.
#[derive(Debug)]
pub struct kvraft_lease {
    lease: Held<Kept>,
    id: u64,
}

#[derive(Debug)]
struct Kept {
    map: ReplicatedMap,
    lease: Shared<Lease>,
}

/// Returns the id with this number, of which 0 stands for none.
pub(crate) fn lease_id(number: u64) -> Result<LeaseId, kvraft_error> {
    if number == 0 {
        return Err(kvraft_error::invalid("the lease is 0, which stands for none"));
    }
    Ok(format!("{number:x}").parse()?)
}

/// Grants a lease and keeps it alive until it is revoked or freed.
///
/// A lease ends once it was not kept alive for ttl_ms, in which a time without a leader does not
/// count: an outage may lengthen it, never shorten it. Then its keys are gone, and its locks are free.
///
/// ttl_ms: 100 ms to ten years.
/// lease: where the lease goes; free it with kvraft_lease_free. The node stays open until then.
///
/// KVRAFT_INVALID_ARGUMENT: another ttl_ms, or an argument is NULL.
/// KVRAFT_OVERLOADED: the cluster has 1,048,576 leases.
/// Other errors: those of kvraft_put.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_new(
    map: Option<&kvraft_map>,
    ttl_ms: u64,
    lease: Option<&mut MaybeUninit<Option<Box<kvraft_lease>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(lease, "lease", error, || {
        let map = inner(map)?.map.clone();
        let lease = block_on(map.lease(Duration::from_millis(ttl_ms)))?;
        let id = lease.id().number();
        Ok(kvraft_lease { lease: Held::new(Kept { map, lease: Shared::new(lease) }), id })
    })
}

/// Returns the id, for kvraft_write_options_set_lease; 0 if lease is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_id(lease: Option<&kvraft_lease>) -> u64 {
    boundary::ask(lease, |lease| lease.id)
}

/// Returns whether the lease is certainly still there: it was kept alive less than its time to live
/// ago, by the monotonic clock of this process. false if lease is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_is_alive(lease: Option<&kvraft_lease>) -> bool {
    boundary::ask(lease, |lease| {
        lease.lease.get().is_ok_and(|kept| kept.lease.get().is_some_and(|lease| lease.is_alive()))
    })
}

/// Waits until the lease may have ended: it is gone, or could not be kept alive for its time to live,
/// or the map was closed, or another thread has revoked it.
///
/// timeout_ms: how long at most; 0 looks and does not wait.
///
/// KVRAFT_OK: it may have ended.
/// KVRAFT_NOT_FOUND: it has not, within that time.
/// KVRAFT_INVALID_ARGUMENT: lease is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_ended(
    lease: Option<&kvraft_lease>,
    timeout_ms: u32,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        let kept = boundary::required(lease, "lease")?.lease.get()?;
        let timeout = Duration::from_millis(timeout_ms.into());
        Ok(boundary::yes(kept.lease.wait(timeout, async |lease| lease.ended().await)))
    })
}

/// Ends the lease now: its keys are gone and its locks are free when this returns. The handle still
/// has to be freed.
///
/// KVRAFT_EXPIRED: it had ended before.
/// KVRAFT_INVALID_ARGUMENT: lease is NULL.
/// Other errors: those of kvraft_delete; the lease ends by its time then.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_revoke(
    lease: Option<&kvraft_lease>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        let kept = boundary::required(lease, "lease")?.lease.get()?;
        let Some(lease) = kept.lease.take() else {
            let text = "the lease has been revoked; take a new one";
            return Err(kvraft_error::new(kvraft_status::KVRAFT_EXPIRED, text));
        };
        let id = lease.id();
        // From here on nobody keeps it alive, unless a thread is about to hear that it has ended.
        drop(lease);
        block_on(kept.map.revoke_lease(id))?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Frees a lease, which ends by its time then. Does nothing if lease is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_free(lease: Option<Box<kvraft_lease>>) {
    boundary::release(|| lease);
}

/// Grants a lease that only kvraft_lease_keep_alive keeps alive: for a caller that keeps its id
/// elsewhere.
///
/// ttl_ms: 100 ms to ten years.
/// lease: where its id goes.
///
/// Errors: those of kvraft_lease_new.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_grant(
    map: Option<&kvraft_map>,
    ttl_ms: u64,
    lease: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(lease, "lease", error, || {
        Ok(Some(usable(map)?.grant_lease(Duration::from_millis(ttl_ms))?.number()))
    })
}

/// Begins the time to live of a lease anew.
///
/// KVRAFT_EXPIRED: it has ended.
/// KVRAFT_INVALID_ARGUMENT: the lease is 0, or map is NULL.
/// Other errors: those of kvraft_delete.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_keep_alive(
    map: Option<&kvraft_map>,
    lease: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.keep_alive(lease_id(lease)?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Ends a lease now, as kvraft_lease_revoke, by its id.
///
/// Errors: those of kvraft_lease_keep_alive.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_end(
    map: Option<&kvraft_map>,
    lease: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.revoke_lease(lease_id(lease)?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Says how long a lease has left, and which keys end with it.
///
/// options: may be NULL for the defaults; they stay the caller's.
/// info: where it goes; free it with kvraft_lease_info_free.
///
/// KVRAFT_EXPIRED: it has ended.
/// KVRAFT_INVALID_ARGUMENT: the lease is 0, or an argument is NULL.
/// Other errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_look_up(
    map: Option<&kvraft_map>,
    lease: u64,
    options: Option<&kvraft_read_options>,
    info: Option<&mut MaybeUninit<Option<Box<kvraft_lease_info>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(info, "info", error, || {
        let map = usable(map)?;
        Ok(map.lease_info(lease_id(lease)?, kvraft_read_options::of(options))?.into())
    })
}
