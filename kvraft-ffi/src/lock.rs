//! `kvraft_lock` is a lock that one holder at a time has, in the whole cluster.

use std::mem::MaybeUninit;
use std::time::Duration;

use futures_executor::block_on;
use kvraft::{Lock, ReplicatedMap};

use crate::boundary::{self, Lent, LentDescriptor};
use crate::error::kvraft_error;
use crate::held::Held;
use crate::lease::lease_id;
use crate::map::{inner, kvraft_map, usable};
use crate::shared::Shared;
use crate::status::kvraft_status;
use crate::stop;

/// A lock that is held until it is unlocked, freed, or lost.
///
/// Any number of threads may use it at once, except for kvraft_lock_free: one may wait for its loss
/// while another works and unlocks it.
#[derive(Debug)]
pub struct kvraft_lock {
    lock: Held<Taken>,
    token: u64,
}

#[derive(Debug)]
struct Taken {
    map: ReplicatedMap,
    lock: Shared<Lock>,
}

impl kvraft_lock {
    fn new(map: &ReplicatedMap, lock: Lock) -> Self {
        let token = lock.token();
        Self { lock: Held::new(Taken { map: map.clone(), lock: Shared::new(lock) }), token }
    }
}

/// Takes a lock, and waits for it; who waits gets it in the order of arrival.
///
/// The lock has a lease of its own that is kept alive as long as the handle is held. When the holder's
/// process dies, the next one gets the lock once ttl_ms is over. A holder that was paused may believe
/// to hold what is another's by now: whatever the lock protects must refuse a smaller token
/// (kvraft_lock_token) than the largest it has seen.
///
/// name, name_len: 1 to 255 bytes of any kind.
/// ttl_ms: 100 ms to ten years.
/// timeout_ms: how long at most; 0 takes the configured request_timeout.
/// lock: where the lock goes; free it with kvraft_lock_free. The node stays open until then.
///
/// KVRAFT_REFUSED: others held it all the time.
/// KVRAFT_OVERLOADED: 4096 wait for it already.
/// KVRAFT_EXPIRED: this process could not keep its lease alive while it waited.
/// Other errors: those of kvraft_lease_new.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_take(
    map: Option<&kvraft_map>,
    name: Lent,
    name_len: usize,
    ttl_ms: u64,
    timeout_ms: u32,
    lock: Option<&mut MaybeUninit<Option<Box<kvraft_lock>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(lock, "lock", error, || {
        let (map, name) = (&inner(map)?.map, name.slice(name_len, "name")?);
        let ttl = Duration::from_millis(ttl_ms);
        let taken = match boundary::within(timeout_ms) {
            Some(timeout) => block_on(map.lock_within(name, ttl, timeout))?,
            None => block_on(map.lock(name, ttl))?,
        };
        Ok(kvraft_lock::new(map, taken))
    })
}

/// Takes a lock if it is free.
///
/// name, name_len, ttl_ms, lock: as for kvraft_lock_take.
///
/// KVRAFT_NOT_FOUND: it is held by another, and no lock was taken.
/// Other errors: those of kvraft_lock_take, without KVRAFT_REFUSED.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_try(
    map: Option<&kvraft_map>,
    name: Lent,
    name_len: usize,
    ttl_ms: u64,
    lock: Option<&mut MaybeUninit<Option<Box<kvraft_lock>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(lock, "lock", error, || {
        let (map, name) = (&inner(map)?.map, name.slice(name_len, "name")?);
        let taken = block_on(map.try_lock(name, Duration::from_millis(ttl_ms)))?;
        Ok(taken.map(|lock| Some(Box::new(kvraft_lock::new(map, lock)))))
    })
}

/// Returns the fencing token: larger than that of every earlier holder of this name. 0 if lock is
/// NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_token(lock: Option<&kvraft_lock>) -> u64 {
    boundary::ask(lock, |lock| lock.token)
}

/// Returns whether the lock is certainly still held, as kvraft_lease_is_alive says of its lease.
/// false if lock is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_is_held(lock: Option<&kvraft_lock>) -> bool {
    boundary::ask(lock, |lock| {
        lock.lock.get().is_ok_and(|taken| taken.lock.get().is_some_and(|lock| lock.is_held()))
    })
}

/// Waits until the lock may be another's: its lease is gone, or could not be kept alive, or the map
/// was closed, or another thread has unlocked it.
///
/// timeout_ms: how long at most; 0 looks and does not wait.
///
/// KVRAFT_OK: it may be another's.
/// KVRAFT_NOT_FOUND: it is not, within that time.
/// KVRAFT_INVALID_ARGUMENT: lock is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_lost(
    lock: Option<&kvraft_lock>,
    timeout_ms: u32,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        let taken = boundary::required(lock, "lock")?.lock.get()?;
        let timeout = Duration::from_millis(timeout_ms.into());
        Ok(boundary::yes(taken.lock.wait(timeout, async |lock| lock.lost().await)))
    })
}

/// Gives the lock back, and returns when the next one may have it. The handle still has to be freed.
///
/// KVRAFT_EXPIRED: it was lost or given back before.
/// KVRAFT_INVALID_ARGUMENT: lock is NULL.
/// Other errors: those of kvraft_delete; the lock ends by its time then.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_unlock(
    lock: Option<&kvraft_lock>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        let taken = boundary::required(lock, "lock")?.lock.get()?;
        let Some(lock) = taken.lock.take() else {
            let text = "the lock has been given back; take it again";
            return Err(kvraft_error::new(kvraft_status::KVRAFT_EXPIRED, text));
        };
        // Its lease goes with it, in the background, as soon as nobody waits for its end any more.
        block_on(taken.map.release(lock.name(), lock.lease().id()))?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Frees a lock, and gives it back in the background if it is held. Does nothing if lock is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_free(lock: Option<Box<kvraft_lock>>) {
    boundary::release(|| lock);
}

/// Takes a lock for a lease that the caller keeps alive; who has it already gets its token again.
///
/// name, name_len: 1 to 255 bytes of any kind.
/// lease: the id of the lease.
/// timeout_ms: how long at most; 0 does not wait for a lock that another has.
/// token: where the fencing token goes.
///
/// KVRAFT_EXPIRED: the lease has ended.
/// Other errors: those of kvraft_lock_take.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_acquire(
    map: Option<&kvraft_map>,
    name: Lent,
    name_len: usize,
    lease: u64,
    timeout_ms: u32,
    token: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(token, "token", error, || {
        let (map, name) = (usable(map)?, name.slice(name_len, "name")?);
        let timeout = Duration::from_millis(timeout_ms.into());
        Ok(Some(map.acquire(name, lease_id(lease)?, timeout)?))
    })
}

/// Takes a lock as kvraft_lock_acquire, but gives up the wait for it, and the place in the queue, as
/// soon as a file descriptor can be read: for a program that has to end in good order.
///
/// name, name_len, lease, timeout_ms, token: as for kvraft_lock_acquire.
/// stop: an eventfd, a pipe, a socket, a signalfd; its end, or a closed other side, count too. It is
/// not read, and stays open until this returns.
///
/// KVRAFT_UNAVAILABLE: also if stop came first. The lease does not wait any more then.
/// KVRAFT_INVALID_ARGUMENT: also if stop is no open file descriptor.
/// Other errors: those of kvraft_lock_acquire.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_acquire_unless(
    map: Option<&kvraft_map>,
    name: Lent,
    name_len: usize,
    lease: u64,
    timeout_ms: u32,
    stop: LentDescriptor,
    token: Option<&mut MaybeUninit<u64>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(token, "token", error, || {
        let (map, name) = (&inner(map)?.map, name.slice(name_len, "name")?);
        let (lease, timeout) = (lease_id(lease)?, Duration::from_millis(timeout_ms.into()));
        let acquire = |stopped| map.acquire_unless(name, lease, timeout, stopped);
        Ok(Some(stop::unless(stop.borrow("stop")?, acquire)?))
    })
}

/// Gives a lock back, or the place in its queue, that a lease has.
///
/// name, name_len, lease: as for kvraft_lock_acquire.
///
/// KVRAFT_EXPIRED: the lease neither holds the lock nor waits for it.
/// Other errors: those of kvraft_delete.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lock_release(
    map: Option<&kvraft_map>,
    name: Lent,
    name_len: usize,
    lease: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.release(name.slice(name_len, "name")?, lease_id(lease)?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}
