//! `LeaseId` names a lease; `LeaseInfo` is what the cluster knows of it.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};

/// Names a lease: granted by the cluster, never used again. Its text form has 16 hexadecimal digits.
///
/// ```
/// let id: kvraft::LeaseId = "000000000000002a".parse()?;
/// assert_eq!(id.to_string(), "000000000000002a");
/// # Ok::<(), kvraft::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(NonZeroU64);

impl LeaseId {
    /// Returns the id with this number, of which 0 stands for none.
    pub(crate) const fn of(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number that the text form spells.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0.get()
    }
}

impl LeaseId {
    /// The error of a call that needs it to live.
    pub(crate) fn ended(self) -> Error {
        Error::expired(format!("lease {self} has ended, or was never granted; take a new one"))
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for LeaseId {
    type Err = Error;

    /// # Errors
    /// `InvalidArgument` unless the text is 1 to 16 hexadecimal digits that are not all 0.
    fn from_str(text: &str) -> Result<Self> {
        let digits = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        let number = if digits { u64::from_str_radix(text, 16).ok() } else { None };
        number.and_then(Self::of).ok_or_else(|| {
            Error::invalid(format!("{text:?} is no lease id: it has 1 to 16 hexadecimal digits"))
        })
    }
}

/// What the cluster knows of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Which lease it is.
    pub id: LeaseId,
    /// What it was granted for, and gets anew with every keep-alive.
    pub ttl: Duration,
    /// How much of it is left, as of the newest entry that this node has applied: at most this
    /// long ago counted from that entry, in led time.
    pub remaining: Duration,
    /// The keys that end with it, in order.
    pub keys: Vec<Bytes>,
}
