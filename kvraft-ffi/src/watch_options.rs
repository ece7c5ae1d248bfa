//! `kvraft_watch_options` is what a watch may ask for.

use std::mem::MaybeUninit;

use kvraft::WatchOptions;

use crate::boundary;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// What a watch may ask for. Not for several threads at once.
#[derive(Debug, Default)]
pub struct kvraft_watch_options {
    options: WatchOptions,
}

impl kvraft_watch_options {
    /// Returns what the caller asks for: the default for `NULL`.
    pub(crate) fn of(this: Option<&Self>) -> WatchOptions {
        this.map_or_else(WatchOptions::new, |this| this.options)
    }
}

/// Makes options that tell what happens from now on.
///
/// options: where they go; free them with kvraft_watch_options_free.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_options_new(
    options: Option<&mut MaybeUninit<Option<Box<kvraft_watch_options>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(options, "options", error, || Ok(kvraft_watch_options::default()))
}

/// Tells changes from this revision on, itself included; one that has not come yet is waited for. If
/// it is not held any more, the watch fails as KVRAFT_COMPACTED.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_options_set_from(
    options: Option<&mut kvraft_watch_options>,
    revision: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.from(revision);
        Ok(())
    })
}

/// Tells with each change the entry as it was before.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_options_set_previous(
    options: Option<&mut kvraft_watch_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.previous();
        Ok(())
    })
}

/// Begins with all entries as they are, and begins again with all entries when changes were missed,
/// instead of failing as KVRAFT_COMPACTED. With a revision to begin from it begins with all entries
/// only if that one is not held any more.
///
/// KVRAFT_INVALID_ARGUMENT: options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_options_set_resync(
    options: Option<&mut kvraft_watch_options>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(options, "options", error, |this| {
        this.options = this.options.resync();
        Ok(())
    })
}

/// Frees options. Does nothing if options is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_options_free(options: Option<Box<kvraft_watch_options>>) {
    boundary::release(|| options);
}
