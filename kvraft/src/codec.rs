//! `Reader` and `Writer` turn values into bytes and back, for the disk and the wire alike.
//!
//! All numbers are big-endian; byte strings carry a `u32` length. A reader never allocates by a
//! length it was told: it slices the buffer it was given.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes that are not what they claim to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError(String);

impl DecodeError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for std::io::Error {
    fn from(error: DecodeError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

pub(crate) type Decoded<T> = Result<T, DecodeError>;

/// Takes values off the front of a buffer; byte strings are slices of it, not copies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(crate) const fn new(bytes: Bytes) -> Self {
        Self { rest: bytes }
    }

    fn take(&mut self, len: usize) -> Decoded<Bytes> {
        if self.rest.len() < len {
            let left = self.rest.len();
            return Err(DecodeError::new(format!("{len} bytes expected, {left} left")));
        }
        Ok(self.rest.split_to(len))
    }

    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.as_ref().try_into().map_err(|_| DecodeError::new("wrong length"))
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn u128(&mut self) -> Decoded<u128> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::new(format!("{other} is not a truth value"))),
        }
    }

    /// Reads a byte string behind its `u32` length.
    pub(crate) fn bytes(&mut self) -> Decoded<Bytes> {
        let len = self.u32()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    pub(crate) fn string(&mut self) -> Decoded<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::new("text is not UTF-8"))
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Reads a list behind its `u32` count; memory grows only with the bytes that are there.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        let count = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Returns whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns all that is left.
    pub(crate) fn rest(self) -> Bytes {
        self.rest
    }

    /// Fails if anything is left: a longer form than we know is a newer form.
    pub(crate) fn finish(self) -> Decoded<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::new(format!("{left} bytes too many"))),
        }
    }
}

/// Appends values to a growing buffer.
pub(crate) trait Writer: BufMut {
    fn put_bool(&mut self, value: bool) {
        self.put_u8(u8::from(value));
    }

    /// Appends a byte string behind its `u32` length. Callers check sizes at the outer door.
    fn put_bytes_with_len(&mut self, bytes: &[u8]) {
        self.put_u32(len_u32(bytes.len()));
        self.put_slice(bytes);
    }

    fn put_option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T))
    where
        Self: Sized,
    {
        self.put_bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn put_list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) where
        Self: Sized,
    {
        self.put_u32(len_u32(items.len()));
        for item in items {
            write(self, item);
        }
    }
}

impl Writer for BytesMut {}

impl Writer for Vec<u8> {}

/// Narrows a length for the wire. Sizes are bounded to 80 MiB long before they come here.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut buffer = BytesMut::new();
        buffer.put_u128(7);
        buffer.put_bool(true);
        buffer.put_bytes_with_len(b"abc");
        buffer.put_option(Some(3_u64), |b, v| b.put_u64(v));
        buffer.put_list([1_u8, 2].into_iter(), |b, v| b.put_u8(v));
        let mut reader = Reader::new(buffer.freeze());
        assert_eq!(reader.u128(), Ok(7));
        assert_eq!(reader.bool(), Ok(true));
        assert_eq!(reader.bytes().unwrap(), "abc");
        assert_eq!(reader.option(Reader::u64), Ok(Some(3)));
        assert_eq!(reader.list(Reader::u8), Ok(vec![1, 2]));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn a_length_beyond_the_buffer_is_an_error_and_allocates_nothing() {
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 6]));
        assert!(reader.bytes().is_err());
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 4]));
        assert!(reader.list(Reader::u8).is_err());
    }
}
