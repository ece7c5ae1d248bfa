//! `kvraft_error` says in words why a call failed.

use std::any::Any;
use std::borrow::Cow;
use std::ffi::{CString, c_char, c_int};
use std::ptr;

use crate::boundary;
use crate::status::kvraft_status;

/// Why a call failed, and what to do next. Belongs to the caller: free it with kvraft_error_free.
#[derive(Debug)]
pub struct kvraft_error {
    status: kvraft_status,
    message: CString,
    revision: u64,
    retryable: bool,
}

impl kvraft_error {
    pub(crate) fn invalid(message: &str) -> Self {
        Self::new(kvraft_status::KVRAFT_INVALID_ARGUMENT, message)
    }

    pub(crate) fn null(argument: &str) -> Self {
        Self::invalid(&format!("{argument} is NULL"))
    }

    /// A number that is none of an enum's.
    pub(crate) fn none_of(argument: &str, number: c_int, values: &str) -> Self {
        Self::invalid(&format!("{argument} is {number}, which is none of enum {values}"))
    }

    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("nothing");
        let message = format!("kvraft panicked, which is a bug; please report it. It said: {said}");
        Self::new(kvraft_status::KVRAFT_INTERNAL, &message)
    }

    pub(crate) const fn status(&self) -> kvraft_status {
        self.status
    }

    pub(crate) fn new(status: kvraft_status, message: &str) -> Self {
        Self { status, message: c_text(message), revision: 0, retryable: false }
    }

    pub(crate) fn text(&self) -> Cow<'_, str> {
        self.message.to_string_lossy()
    }
}

/// Returns a text as C has it. A NUL byte would end it early, and so is shown.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

impl From<kvraft::Error> for kvraft_error {
    fn from(error: kvraft::Error) -> Self {
        let mut this = Self::new(error.kind().into(), &error.to_string());
        this.revision = error.revision().unwrap_or(0);
        this.retryable = error.is_retryable();
        this
    }
}

/// Returns the status that the failed call returned; KVRAFT_OK if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_status(error: Option<&kvraft_error>) -> kvraft_status {
    error.map_or(kvraft_status::KVRAFT_OK, kvraft_error::status)
}

/// Returns what happened, for people, as UTF-8; it may be worded differently in any release.
///
/// The text lives as long as the error. NULL if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_message(error: Option<&kvraft_error>) -> *const c_char {
    error.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// Returns the revision that belongs to the error: for KVRAFT_CONFLICT the current one of the key,
/// for KVRAFT_COMPACTED the oldest one available. 0 if there is none, or if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_revision(error: Option<&kvraft_error>) -> u64 {
    error.map_or(0, |error| error.revision)
}

/// Returns whether a write that failed like this may have been applied all the same: read it back
/// before you decide. false if it certainly was not, or if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_may_be_applied(error: Option<&kvraft_error>) -> bool {
    error.is_some_and(|error| error.status.may_be_applied())
}

/// Returns whether the same call may succeed later without any change, and certainly did nothing.
/// false if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_is_retryable(error: Option<&kvraft_error>) -> bool {
    error.is_some_and(|error| error.retryable)
}

/// Frees an error. Does nothing if error is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_error_free(error: Option<Box<kvraft_error>>) {
    boundary::release(|| error);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_a_nul_byte_is_kept_whole() {
        assert_eq!(kvraft_error::invalid("a\0b").text(), "a\\0b");
    }
}
