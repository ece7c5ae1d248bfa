//! `kvraft_scan_options` is what a scan may ask for.

use std::mem::MaybeUninit;

use kvraft::ScanOptions;

use crate::boundary;
use crate::error::kvraft_error;
use crate::read_options::kvraft_read_options;
use crate::status::kvraft_status;

/// What a scan may ask for. Not for several threads at once.
#[derive(Debug, Default)]
pub struct kvraft_scan_options {
    options: ScanOptions,
}

impl kvraft_scan_options {
    /// Returns what the caller asks for: the default for `NULL`.
    pub(crate) fn of(this: Option<&Self>) -> ScanOptions {
        this.map_or_else(ScanOptions::new, |this| this.options)
    }
}

/// Makes options that read keys and values in order, without a limit.
///
/// options: where they go; free them with kvraft_scan_options_free.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_new(
    options: Option<&mut MaybeUninit<Option<Box<kvraft_scan_options>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(options, "options", error, || Ok(kvraft_scan_options::default()))
}

/// Sets how fresh the scan must be, and how long its beginning may take.
///
/// read: is copied; NULL sets the defaults.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_set_read(
    options: Option<&mut kvraft_scan_options>,
    read: Option<&kvraft_read_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.read(kvraft_read_options::of(read));
        Ok(())
    })
}

/// Ends the scan, or the page, after this many entries.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_set_limit(
    options: Option<&mut kvraft_scan_options>,
    entries: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.limit(entries);
        Ok(())
    })
}

/// Goes from the last key to the first.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_set_reverse(
    options: Option<&mut kvraft_scan_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.reverse();
        Ok(())
    })
}

/// Leaves the values empty.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_set_keys_only(
    options: Option<&mut kvraft_scan_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.keys_only();
        Ok(())
    })
}

/// Frees options. Does nothing if options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_scan_options_free(options: Option<Box<kvraft_scan_options>>) {
    boundary::release(|| options);
}
