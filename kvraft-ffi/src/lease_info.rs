//! `kvraft_lease_info` is what the cluster knows of a lease.

use std::mem::MaybeUninit;
use std::time::Duration;

use kvraft::LeaseInfo;

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// What the cluster knows of a lease. It never changes: any number of threads may read it.
#[derive(Debug)]
pub struct kvraft_lease_info {
    info: LeaseInfo,
}

impl From<LeaseInfo> for kvraft_lease_info {
    fn from(info: LeaseInfo) -> Self {
        Self { info }
    }
}

/// Returns what the lease was granted for, in milliseconds; 0 if info is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_info_ttl_ms(info: Option<&kvraft_lease_info>) -> u64 {
    boundary::ask(info, |this| milliseconds(this.info.ttl))
}

/// Returns how much of it is left, in milliseconds, as of the newest entry that the node has applied;
/// 0 if info is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_info_remaining_ms(info: Option<&kvraft_lease_info>) -> u64 {
    boundary::ask(info, |this| milliseconds(this.info.remaining))
}

/// Returns how many keys end with the lease; 0 if info is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_info_count(info: Option<&kvraft_lease_info>) -> usize {
    boundary::ask(info, |this| this.info.keys.len())
}

/// Gives one key that ends with the lease.
///
/// index: counts from 0, in the order of the keys.
/// key: where it goes; free it with kvraft_bytes_free.
///
/// KVRAFT_NOT_FOUND: there is no key of that index.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_info_key(
    info: Option<&kvraft_lease_info>,
    index: usize,
    key: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(key, "key", error, || {
        let info = boundary::required(info, "info")?;
        Ok(info.info.keys.get(index).cloned().map(Into::into))
    })
}

/// Frees what is known of a lease. Does nothing if info is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_lease_info_free(info: Option<Box<kvraft_lease_info>>) {
    boundary::release(|| info);
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
