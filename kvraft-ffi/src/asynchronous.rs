//! The calls for one key whose callers do not wait: a callback is called when they are done.

use std::mem::MaybeUninit;

use kvraft::ReplicatedMap;

use crate::boundary::{self, Context, Lent};
use crate::callback::{Pending, kvraft_callback};
use crate::error::kvraft_error;
use crate::map::{inner, kvraft_map};
use crate::outcome::kvraft_outcome;
use crate::read_options::kvraft_read_options;
use crate::status::kvraft_status;
use crate::write_options::kvraft_write_options;

/// Begins kvraft_get_with, and has its result given to a callback.
///
/// key, key_len: 1 to 511 bytes of any kind; they are copied.
/// options: may be NULL for the defaults; they are copied.
/// callback, context: what is called, and its first argument; see kvraft_callback.
///
/// KVRAFT_OK: the callback will be called. Otherwise it will not:
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The key is checked later, and told the callback.
/// KVRAFT_OVERLOADED: 4096 calls of this map with a callback are under way.
/// KVRAFT_CLOSED: this is a forked child.
/// KVRAFT_STORAGE: no thread can be started.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_get_async(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    options: Option<&kvraft_read_options>,
    callback: kvraft_callback,
    context: Context,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    begin(map, (callback, context), error, || {
        let key = key.slice(key_len, "key")?.to_vec();
        let options = kvraft_read_options::of(options);
        Ok(move |map: ReplicatedMap| async move {
            let found = map.get_with(key, options).await?;
            let status = boundary::yes(found.is_some());
            Ok((status, found.map(Into::into).unwrap_or_default()))
        })
    })
}

/// Begins kvraft_put_with, and has its result given to a callback.
///
/// key, key_len, value, value_len: as for kvraft_put; they are copied.
/// options, callback, context: as for kvraft_get_async.
///
/// Errors: those of kvraft_get_async.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_put_async(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    value: Lent,
    value_len: usize,
    options: Option<&kvraft_write_options>,
    callback: kvraft_callback,
    context: Context,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    begin(map, (callback, context), error, || {
        let key = key.slice(key_len, "key")?.to_vec();
        let value = value.slice(value_len, "value")?.to_vec();
        let options = kvraft_write_options::of(options);
        Ok(move |map: ReplicatedMap| async move {
            let put = map.put_with(key, value, options).await?;
            Ok((kvraft_status::KVRAFT_OK, put.into()))
        })
    })
}

/// Begins kvraft_delete_with, and has its result given to a callback.
///
/// key, key_len: as for kvraft_delete; they are copied.
/// options, callback, context: as for kvraft_get_async.
///
/// Errors: those of kvraft_get_async.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_delete_async(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    options: Option<&kvraft_write_options>,
    callback: kvraft_callback,
    context: Context,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    begin(map, (callback, context), error, || {
        let key = key.slice(key_len, "key")?.to_vec();
        let options = kvraft_write_options::of(options);
        Ok(move |map: ReplicatedMap| async move {
            let deleted = map.delete_with(key, options).await?;
            Ok((boundary::yes(deleted.existed), deleted.into()))
        })
    })
}

/// Begins kvraft_increment, and has its result given to a callback, whose outcome has the number.
///
/// key, key_len: as for kvraft_put; they are copied.
/// options, callback, context: as for kvraft_get_async.
///
/// Errors: those of kvraft_get_async.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_increment_async(
    map: Option<&kvraft_map>,
    key: Lent,
    key_len: usize,
    delta: i64,
    options: Option<&kvraft_write_options>,
    callback: kvraft_callback,
    context: Context,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    begin(map, (callback, context), error, || {
        let key = key.slice(key_len, "key")?.to_vec();
        let options = kvraft_write_options::of(options);
        Ok(move |map: ReplicatedMap| async move {
            let sum = map.increment_with(key, delta, options).await?;
            Ok((kvraft_status::KVRAFT_OK, sum.into()))
        })
    })
}

/// Begins a call of the core, after `prepare` has copied what it needs of the caller.
fn begin<F, Work>(
    map: Option<&kvraft_map>,
    (callback, context): (kvraft_callback, Context),
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    prepare: impl FnOnce() -> Result<F, kvraft_error>,
) -> kvraft_status
where
    F: FnOnce(ReplicatedMap) -> Work + Send + 'static,
    Work: Future<Output = kvraft::Result<(kvraft_status, kvraft_outcome)>> + Send,
{
    boundary::call(error, || {
        let inner = inner(map)?;
        let callback = boundary::required(callback, "callback")?;
        let work = prepare()?;
        let place = inner.tasks()?.place()?;
        // Only now, since it calls back whatever happens.
        let (map, pending) = (inner.map.clone(), Pending::new(callback, context));
        place.begin(async move {
            let result = work(map).await;
            pending.done(result.map_err(Into::into));
        });
        Ok(kvraft_status::KVRAFT_OK)
    })
}
