//! `kvraft_read_options` is what a read may ask for.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::time::Duration;

use kvraft::{Consistency, ReadOptions};

use crate::boundary;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum kvraft_consistency {
    /// Sees every write that was acknowledged anywhere before the read began. Costs one round trip
    /// to a quorum, shared by the reads that wait together.
    KVRAFT_LINEARIZABLE = 0,
    /// The same, without a round trip of the leader's; it trusts clocks to run alike within a fifth.
    KVRAFT_LEASE = 1,
    /// Sees what this node has applied: no network, possibly old.
    KVRAFT_LOCAL = 2,
}

/// What a read may ask for. Not for several threads at once.
#[derive(Debug, Default)]
pub struct kvraft_read_options {
    options: ReadOptions,
    /// That of the configuration without it.
    timeout: Option<Duration>,
}

impl kvraft_read_options {
    /// Returns what the caller asks for: the default for `NULL`.
    pub(crate) fn of(this: Option<&Self>) -> ReadOptions {
        let Some(this) = this else { return ReadOptions::new() };
        this.timeout.map_or(this.options, |timeout| this.options.timeout(timeout))
    }
}

/// Makes options that take everything from the configuration.
///
/// options: where they go; free them with kvraft_read_options_free.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_read_options_new(
    options: Option<&mut MaybeUninit<Option<Box<kvraft_read_options>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(options, "options", error, || Ok(kvraft_read_options::default()))
}

/// Sets how fresh the read must be: a value of enum kvraft_consistency.
///
/// KVRAFT_INVALID_ARGUMENT: the value is none of them, or options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_read_options_set_consistency(
    options: Option<&mut kvraft_read_options>,
    consistency: c_int,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    const LINEARIZABLE: c_int = kvraft_consistency::KVRAFT_LINEARIZABLE as c_int;
    const LEASE: c_int = kvraft_consistency::KVRAFT_LEASE as c_int;
    const LOCAL: c_int = kvraft_consistency::KVRAFT_LOCAL as c_int;
    boundary::with(options, "options", error, |this| {
        this.options = this.options.consistency(match consistency {
            LINEARIZABLE => Consistency::Linearizable,
            LEASE => Consistency::Lease,
            LOCAL => Consistency::Local,
            other => return Err(kvraft_error::none_of("consistency", other, "kvraft_consistency")),
        });
        Ok(())
    })
}

/// Waits until this node has applied revision: with the revision of your last write you read your
/// writes on any node, without a trip to the leader.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_read_options_set_min_revision(
    options: Option<&mut kvraft_read_options>,
    revision: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.min_revision(revision);
        Ok(())
    })
}

/// Sets how long the call waits at most, in milliseconds; 0 takes the configured request_timeout,
/// which is the default.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_read_options_set_timeout_ms(
    options: Option<&mut kvraft_read_options>,
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
pub extern "C" fn kvraft_read_options_free(options: Option<Box<kvraft_read_options>>) {
    boundary::release(|| options);
}
