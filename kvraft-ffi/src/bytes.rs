//! `kvraft_bytes` is a buffer that the library made for the caller.

use std::mem;
use std::ptr;

use ::bytes::Bytes;

use crate::boundary;

/// What keeps the bytes of a kvraft_bytes alive.
#[derive(Debug)]
pub struct kvraft_bytes_owner {
    _bytes: Bytes,
}

/// Bytes that a call gives to its caller: free them with kvraft_bytes_free.
///
/// Read data and len, change nothing. After success data is not NULL, even if len is 0. The bytes
/// may be read by any number of threads. A copy of the struct is the same buffer: free one of them.
#[derive(Debug)]
#[repr(C)]
pub struct kvraft_bytes {
    /// The first byte. Nothing follows the last one unless the function says so.
    pub data: *const u8,
    /// How many bytes there are.
    pub len: usize,
    /// The library's own: leave it alone.
    pub owner: Option<Box<kvraft_bytes_owner>>,
}

impl Default for kvraft_bytes {
    fn default() -> Self {
        Self { data: ptr::null(), len: 0, owner: None }
    }
}

impl kvraft_bytes {
    /// Shares `bytes` with C; the first `len` of them are what it is told of.
    fn new(bytes: Bytes, len: usize) -> Self {
        if bytes.is_empty() {
            // The address of no bytes may be anything; give one that a debugger can show.
            return Self { data: c"".as_ptr().cast(), len: 0, owner: None };
        }
        let data = bytes.as_ptr();
        Self { data, len, owner: Some(Box::new(kvraft_bytes_owner { _bytes: bytes })) }
    }

    /// Gives `text` to C with a NUL byte after the last one, which the length does not count.
    pub(crate) fn text(mut text: String) -> Self {
        let len = text.len();
        text.push('\0');
        Self::new(text.into(), len)
    }
}

impl From<Bytes> for kvraft_bytes {
    fn from(bytes: Bytes) -> Self {
        let len = bytes.len();
        Self::new(bytes, len)
    }
}

/// Frees the bytes and zeroes the struct, so that doing it twice does no harm. Does nothing if
/// bytes is NULL or the struct is zeroed.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_bytes_free(bytes: Option<&mut kvraft_bytes>) {
    boundary::release(|| bytes.map(mem::take));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_has_an_address_and_a_freed_one_has_none() {
        let mut bytes = kvraft_bytes::from(Bytes::new());
        assert!(!bytes.data.is_null());
        kvraft_bytes_free(Some(&mut bytes));
        assert!(bytes.data.is_null());
        kvraft_bytes_free(Some(&mut bytes));
        kvraft_bytes_free(None);
    }

    #[test]
    fn a_value_is_shared_and_not_copied() {
        let value = Bytes::from(vec![7; 1000]);
        assert_eq!(kvraft_bytes::from(value.clone()).data, value.as_ptr());
    }
}
