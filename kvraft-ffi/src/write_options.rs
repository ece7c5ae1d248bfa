//! `kvraft_write_options` is what a write may ask for.

use std::mem::{self, MaybeUninit};
use std::time::Duration;

use kvraft::WriteOptions;

use crate::boundary::{self, Lent};
use crate::error::kvraft_error;
use crate::lease::lease_id;
use crate::status::kvraft_status;

/// What a write may ask for: a condition, a time to live or a lease, a request id, a timeout. Not
/// for several threads at once.
#[derive(Debug, Default)]
pub struct kvraft_write_options {
    options: WriteOptions,
    /// That of the configuration without it.
    timeout: Option<Duration>,
}

impl kvraft_write_options {
    /// Returns what the caller asks for: the default for `NULL`.
    pub(crate) fn of(this: Option<&Self>) -> WriteOptions {
        let Some(this) = this else { return WriteOptions::new() };
        let options = this.options.clone();
        match this.timeout {
            Some(timeout) => options.timeout(timeout),
            None => options,
        }
    }

    fn change(&mut self, change: impl FnOnce(WriteOptions) -> WriteOptions) {
        self.options = change(mem::take(&mut self.options));
    }
}

/// Makes options that take everything from the configuration, without a condition.
///
/// options: where they go; free them with kvraft_write_options_free.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_new(
    options: Option<&mut MaybeUninit<Option<Box<kvraft_write_options>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(options, "options", error, || Ok(kvraft_write_options::default()))
}

/// Writes only if the entry was last changed at revision; 0 means that there is none. Otherwise the
/// write fails as KVRAFT_CONFLICT, and kvraft_error_revision has the current one. Of several
/// conditions the last one counts.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_if_revision(
    options: Option<&mut kvraft_write_options>,
    revision: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.change(|options| options.if_revision(revision));
        Ok(())
    })
}

/// Writes only if the key has no value; otherwise as kvraft_write_options_set_if_revision.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_if_absent(
    options: Option<&mut kvraft_write_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.change(WriteOptions::if_absent);
        Ok(())
    })
}

/// Writes only if the key has a value; otherwise as kvraft_write_options_set_if_revision.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_if_present(
    options: Option<&mut kvraft_write_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.change(WriteOptions::if_present);
        Ok(())
    })
}

/// Writes only if the key has exactly this value; otherwise as kvraft_write_options_set_if_revision.
///
/// value, value_len: are copied. NULL with 0 is empty.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_if_value(
    options: Option<&mut kvraft_write_options>,
    value: Lent,
    value_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        let value = value.slice(value_len, "value")?;
        this.change(|options| options.if_value(value));
        Ok(())
    })
}

/// Has a put or delete answer with the entry that was there before.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_want_previous(
    options: Option<&mut kvraft_write_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.change(WriteOptions::want_previous);
        Ok(())
    })
}

/// Takes the key away after this time, unless it is put again: 100 ms to ten years, in which a time
/// without a leader does not count, so that it is never shorter. Puts only.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL. The time is checked by the put.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_ttl_ms(
    options: Option<&mut kvraft_write_options>,
    ttl_ms: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.change(|options| options.ttl(Duration::from_millis(ttl_ms)));
        Ok(())
    })
}

/// Takes the key away when the lease ends. Puts only, and not with a time to live of its own.
///
/// lease: as kvraft_lease_id or kvraft_lease_grant gives it.
///
/// KVRAFT_INVALID_ARGUMENT: the lease is 0, or options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_lease(
    options: Option<&mut kvraft_write_options>,
    lease: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        let lease = lease_id(lease)?;
        this.change(|options| options.lease(lease));
        Ok(())
    })
}

/// Applies the write once however often it is sent with this id, by any process and through any
/// member, for an hour: 1 to 255 bytes that no other request has, such as a UUID. Whoever repeats the
/// request gets the same answer.
///
/// id, id_len: are copied.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The length is checked by the write.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_request_id(
    options: Option<&mut kvraft_write_options>,
    id: Lent,
    id_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        let id = id.slice(id_len, "id")?;
        this.change(|options| options.request_id(id));
        Ok(())
    })
}

/// Says in whose name the request id is, in at most 127 bytes: ids of different principals never meet.
/// Default: empty, that of the members themselves.
///
/// principal, principal_len: are copied.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. The length is checked by the write.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_principal(
    options: Option<&mut kvraft_write_options>,
    principal: Lent,
    principal_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        let principal = principal.slice(principal_len, "principal")?;
        this.change(|options| options.principal(principal));
        Ok(())
    })
}

/// Sets how long the call waits at most, in milliseconds; 0 takes the configured request_timeout,
/// which is the default.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_set_timeout_ms(
    options: Option<&mut kvraft_write_options>,
    timeout_ms: u32,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.timeout = boundary::within(timeout_ms);
        Ok(())
    })
}

/// Frees options. Does nothing if options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_write_options_free(options: Option<Box<kvraft_write_options>>) {
    boundary::release(|| options);
}
