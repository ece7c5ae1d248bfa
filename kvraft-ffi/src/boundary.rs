//! `call` is the wall between C and Rust: bare addresses and panics end here.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::panic::{self, AssertUnwindSafe};
use std::slice;
use std::time::Duration;

use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// Bytes that C lends for one call: `const void *` in the header. With their length they are a slice.
///
/// Only C can make one, and so binds itself to what the header says: the address is valid for the
/// length that comes with it, and nobody writes there during the call.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Lent(*const c_void);

impl Lent {
    pub(crate) fn slice<'call>(self, len: usize, name: &str) -> Result<&'call [u8], kvraft_error> {
        if len == 0 {
            return Ok(&[]);
        }
        if self.0.is_null() {
            return Err(kvraft_error::invalid(&format!("{name} is NULL, but its length is {len}")));
        }
        if isize::try_from(len).is_err() {
            return Err(kvraft_error::invalid(&format!(
                "{name} has {len} bytes; that is more than an address space holds"
            )));
        }
        // SAFETY: not null, not too long, and valid for `len` bytes during the call, as the header
        // demands of whoever passes it; bytes need no alignment.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }
}

/// Text that C lends for one call, ending in a NUL byte: `const char *` in the header.
///
/// Only C can make one, and so binds itself to the NUL byte.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct LentText(*const c_char);

impl LentText {
    /// Returns the text as a path, which may be of any bytes.
    pub(crate) fn path<'call>(self, name: &str) -> Result<&'call OsStr, kvraft_error> {
        Ok(OsStr::from_bytes(self.c_str(name)?.to_bytes()))
    }

    /// Returns the text if it is UTF-8.
    pub(crate) fn text<'call>(self, name: &str) -> Result<&'call str, kvraft_error> {
        let text = self.c_str(name)?.to_str();
        text.map_err(|_| kvraft_error::invalid(&format!("{name} is not UTF-8")))
    }

    /// Returns the text, if there is any and it is UTF-8.
    pub(crate) fn optional<'call>(self, name: &str) -> Result<Option<&'call str>, kvraft_error> {
        if self.0.is_null() { Ok(None) } else { self.text(name).map(Some) }
    }

    fn c_str<'call>(self, name: &str) -> Result<&'call CStr, kvraft_error> {
        if self.0.is_null() {
            return Err(kvraft_error::null(name));
        }
        // SAFETY: not null, and ends in a NUL byte, as the header demands of whoever passes it.
        Ok(unsafe { CStr::from_ptr(self.0) })
    }
}

/// A file descriptor that C lends for one call: `int` in the header.
///
/// Only C can make one, and so binds itself to keep it open until the call returns.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct LentDescriptor(c_int);

impl LentDescriptor {
    pub(crate) fn borrow<'call>(self, name: &str) -> Result<BorrowedFd<'call>, kvraft_error> {
        if self.0 < 0 {
            return Err(kvraft_error::invalid(&format!("{name} is {}, no descriptor", self.0)));
        }
        // SAFETY: not -1, and open during the call, as the header demands of whoever passes it; the
        // kernel says so of one that is not.
        Ok(unsafe { BorrowedFd::borrow_raw(self.0) })
    }
}

/// What a callback is called with first: the caller's own word for what it is about.
///
/// The library keeps it and gives it back, and never looks behind it.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Context(*mut c_void);

// SAFETY: the address is only carried; the header says that callbacks come on other threads.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

/// Runs `body`, and turns what it answers into a status and what went wrong into `error`.
pub(crate) fn call(
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce() -> Result<kvraft_status, kvraft_error>,
) -> kvraft_status {
    let error = zeroed(error);
    // Unwind safety: handles only hold what the core shares between threads anyway, and outputs
    // are written last.
    let failure = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => return status,
        Ok(Err(failure)) => failure,
        Err(panic) => kvraft_error::panicked(panic.as_ref()),
    };
    let status = failure.status();
    if let Some(error) = error {
        *error = Some(Box::new(failure));
    }
    status
}

/// Makes something new for the caller, which has to say where it goes.
pub(crate) fn make<T>(
    output: Option<&mut MaybeUninit<Option<Box<T>>>>,
    name: &str,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce() -> Result<T, kvraft_error>,
) -> kvraft_status {
    let output = zeroed(output);
    call(error, || {
        let output = required(output, name)?;
        *output = Some(Box::new(body()?));
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Shows the caller a part of something, if there is such a part.
pub(crate) fn show<T: Default>(
    output: Option<&mut MaybeUninit<T>>,
    name: &str,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce() -> Result<Option<T>, kvraft_error>,
) -> kvraft_status {
    let output = zeroed(output);
    call(error, || {
        let output = required(output, name)?;
        let Some(part) = body()? else { return Ok(kvraft_status::KVRAFT_NOT_FOUND) };
        *output = part;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Gives the caller a text, which has to say where it goes.
pub(crate) fn tell(
    output: Option<&mut MaybeUninit<kvraft_bytes>>,
    name: &str,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce() -> Result<String, kvraft_error>,
) -> kvraft_status {
    let output = zeroed(output);
    call(error, || {
        let output = required(output, name)?;
        *output = kvraft_bytes::text(body()?);
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Does something, and gives the caller a text about it who wants one.
pub(crate) fn report(
    output: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce() -> Result<String, kvraft_error>,
) -> kvraft_status {
    let output = zeroed(output);
    call(error, || {
        let text = body()?;
        if let Some(output) = output {
            *output = kvraft_bytes::text(text);
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Does something with `target`, which has to be there.
pub(crate) fn with<T>(
    target: Option<&mut T>,
    name: &str,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    body: impl FnOnce(&mut T) -> Result<(), kvraft_error>,
) -> kvraft_status {
    call(error, || {
        body(required(target, name)?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Returns what `body` says of `target`, or the default if that is `NULL`, or `body` panics.
pub(crate) fn ask<T, R: Default>(target: Option<&T>, body: impl FnOnce(&T) -> R) -> R {
    let asked = panic::catch_unwind(AssertUnwindSafe(|| target.map(body)));
    asked.ok().flatten().unwrap_or_default()
}

/// Runs `body`, which has no way to fail, and drops what it returns; a panic stays here as well.
pub(crate) fn release<T>(body: impl FnOnce() -> T) {
    call(None, || {
        drop(body());
        Ok(kvraft_status::KVRAFT_OK)
    });
}

/// Zeroes an output, as every function does with all of its outputs before it does anything else.
pub(crate) fn zeroed<T: Default>(output: Option<&mut MaybeUninit<T>>) -> Option<&mut T> {
    output.map(|output| output.write(T::default()))
}

/// Answers whether something is so.
pub(crate) const fn yes(so: bool) -> kvraft_status {
    if so { kvraft_status::KVRAFT_OK } else { kvraft_status::KVRAFT_NOT_FOUND }
}

/// Returns the timeout of a call, of which 0 means the configured one.
pub(crate) fn within(timeout_ms: u32) -> Option<Duration> {
    (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms.into()))
}

/// Refuses `NULL` for an argument that has to be there.
pub(crate) fn required<T>(argument: Option<T>, name: &str) -> Result<T, kvraft_error> {
    argument.ok_or_else(|| kvraft_error::null(name))
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_error_with_its_text() {
        let mut error = MaybeUninit::uninit();
        let status = call(Some(&mut error), || panic!("shelf {} fell down", 7));
        assert_eq!(status, kvraft_status::KVRAFT_INTERNAL);
        // SAFETY: `call` writes its output before anything else.
        let error = unsafe { error.assume_init() }.expect("an error");
        assert!(error.text().contains("shelf 7 fell down"), "{error:?}");
    }

    #[test]
    fn a_length_without_an_address_is_refused() {
        let error = Lent(ptr::null()).slice(3, "key").expect_err("refused");
        assert!(error.text().contains("key is NULL"), "{error:?}");
        assert_eq!(Lent(ptr::null()).slice(0, "key").expect("empty"), b"");
    }

    #[test]
    fn a_length_beyond_the_address_space_is_refused_before_it_is_read() {
        let byte = 0_u8;
        let lent = Lent(ptr::from_ref(&byte).cast());
        assert!(lent.slice(usize::MAX, "value").is_err());
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_but_is_a_path() {
        let text = LentText(c"\xff".as_ptr());
        assert!(text.text("value").is_err());
        assert_eq!(text.path("data_dir").expect("a path").as_bytes(), b"\xff");
    }
}
