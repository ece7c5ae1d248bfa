//! The version says which library a program runs with, as the header's macros say which it was compiled for.

use std::ffi::{CStr, c_char};

/// The revision of the binary interface that the header declares. It rises when programs that were
/// compiled with an older header no longer work, and so does the number in the library's SONAME.
pub const KVRAFT_ABI_VERSION: u32 = 1;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };

/// Returns the version of the library, such as "0.1.0"; KVRAFT_VERSION is that of the header.
///
/// The text is static: do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_version() -> *const c_char {
    VERSION.as_ptr()
}

/// Returns the revision of the binary interface of the library. A program that loads it at run
/// time should refuse one that differs from KVRAFT_ABI_VERSION.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_abi_version() -> u32 {
    KVRAFT_ABI_VERSION
}
