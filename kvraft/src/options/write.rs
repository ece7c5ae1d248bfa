//! `WriteOptions` is what a write may ask for beyond its key; with what writes answer.

use std::time::Duration;

use bytes::Bytes;

use super::{Entry, LeaseId};
use crate::command::{
    Attach, MAX_NAME_BYTES, MAX_PRINCIPAL_BYTES, MAX_TTL_MS, MIN_TTL_MS, Relation, RequestId, Test,
};
use crate::error::{Error, Result};

/// What a write may ask for. The default takes everything from the [`Config`](crate::Config).
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use kvraft::{ErrorKind, WriteOptions};
///
/// // Only the first of several wins.
/// let first = map.put_with("leader", "me", WriteOptions::new().if_absent()).await?;
/// let late = map.put_with("leader", "you", WriteOptions::new().if_absent()).await.unwrap_err();
/// assert_eq!((late.kind(), late.revision()), (ErrorKind::Conflict, Some(first.revision)));
///
/// // Compare and swap: nobody has changed it since it was read.
/// let swap = WriteOptions::new().if_revision(first.revision).want_previous();
/// let second = map.put_with("leader", "you", swap).await?;
/// assert_eq!(second.previous.unwrap().value, "me");
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct WriteOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) test: Option<Test>,
    pub(crate) want_previous: bool,
    ttl: Option<Duration>,
    lease: Option<LeaseId>,
    request_id: Option<Bytes>,
    principal: Bytes,
}

impl WriteOptions {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the deadline of the call, counted from its start.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Writes only if the entry was last changed at `revision`; 0 means that there is none. Else
    /// the write is a `Conflict` that carries the current revision. The last condition counts.
    #[must_use]
    pub fn if_revision(mut self, revision: u64) -> Self {
        self.test = Some(Test::Revision(Relation::Equal, revision));
        self
    }

    /// Writes only if the key has no value.
    #[must_use]
    pub fn if_absent(mut self) -> Self {
        self.test = Some(Test::Exists(false));
        self
    }

    /// Writes only if the key has a value, whichever.
    #[must_use]
    pub fn if_present(mut self) -> Self {
        self.test = Some(Test::Exists(true));
        self
    }

    /// Writes only if the key has exactly this value.
    #[must_use]
    pub fn if_value(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = Bytes::copy_from_slice(value.as_ref());
        self.test = Some(Test::Value(Relation::Equal, value));
        self
    }

    /// Answers with the entry that was there before.
    #[must_use]
    pub const fn want_previous(mut self) -> Self {
        self.want_previous = true;
        self
    }

    /// Takes the key away after this time, unless it is put again: 100 ms to ten years, counted in
    /// led time, so that it is never shorter. Puts only; without it a put makes the key stay.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Takes the key away when the lease ends, unless it is put again without it. Puts only, and not
    /// with a [`ttl`](Self::ttl) of its own.
    #[must_use]
    pub const fn lease(mut self, lease: LeaseId) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Applies the write once however often it is sent with this id, by any process and through any
    /// member: 1 to 255 bytes that no other request has, such as a UUID.
    ///
    /// The answer is remembered for one hour of led time and given again to whoever repeats the
    /// request. Another request with the id is an `InvalidArgument`. A refusal as `Full` is not
    /// remembered. While 262,144 requests are remembered, or 256 MiB of answers, a new id is
    /// `Overloaded`: nothing is forgotten early.
    #[must_use]
    pub fn request_id(mut self, id: impl AsRef<[u8]>) -> Self {
        self.request_id = Some(Bytes::copy_from_slice(id.as_ref()));
        self
    }

    /// Says in whose name the request id is, in at most 127 bytes: ids of different principals
    /// never meet. Default: empty, that of the members themselves.
    #[must_use]
    pub fn principal(mut self, principal: impl AsRef<[u8]>) -> Self {
        self.principal = Bytes::copy_from_slice(principal.as_ref());
        self
    }

    pub(crate) fn attach(&self) -> Result<Attach> {
        Ok(match (self.ttl, self.lease) {
            (None, None) => Attach::None,
            (Some(ttl), None) => Attach::Ttl(checked_ttl(ttl)?),
            (None, Some(lease)) => Attach::Lease(lease.number()),
            (Some(_), Some(_)) => {
                return Err(Error::invalid("ttl and lease exclude each other; give one"));
            }
        })
    }

    /// Refuses what only a put can do.
    pub(crate) fn check_no_life(&self) -> Result<()> {
        if self.ttl.is_none() && self.lease.is_none() {
            return Ok(());
        }
        Err(Error::invalid("only a put takes a ttl or a lease; leave it out"))
    }

    /// Refuses what only a write of one key can do.
    pub(crate) fn check_plain(&self) -> Result<()> {
        self.check_no_life()?;
        if self.test.is_some() || self.want_previous {
            return Err(Error::invalid(
                "a condition and the previous entry are for writes of one key; use the comparisons \
                 and results of a transaction",
            ));
        }
        Ok(())
    }

    pub(crate) fn request(&self) -> Result<Option<RequestId>> {
        let Some(id) = self.request_id.clone() else { return Ok(None) };
        if id.is_empty() || id.len() > MAX_NAME_BYTES {
            return Err(Error::invalid(format!(
                "the request id has {} bytes; it has 1 to {MAX_NAME_BYTES}",
                id.len()
            )));
        }
        if self.principal.len() > MAX_PRINCIPAL_BYTES {
            return Err(Error::invalid(format!(
                "the principal has {} bytes, at most {MAX_PRINCIPAL_BYTES} are possible",
                self.principal.len()
            )));
        }
        Ok(Some(RequestId { principal: self.principal.clone(), id }))
    }
}

/// Returns a time to live in the milliseconds of a command.
pub(crate) fn checked_ttl(ttl: Duration) -> Result<u64> {
    u64::try_from(ttl.as_millis())
        .ok()
        .filter(|ttl_ms| (MIN_TTL_MS..=MAX_TTL_MS).contains(ttl_ms))
        .ok_or_else(|| {
            Error::invalid(format!("the time to live {ttl:?} is not between 100 ms and ten years"))
        })
}

/// What a put did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The revision of the entry now.
    pub revision: u64,
    /// Whether the key had a value before.
    pub replaced: bool,
    /// The entry before, if it was asked for and there was one.
    pub previous: Option<Entry>,
}

/// What a delete did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The revision of the deletion.
    pub revision: u64,
    /// Whether the key had a value before.
    pub existed: bool,
    /// The entry before, if it was asked for and there was one.
    pub previous: Option<Entry>,
}

/// What an increment did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incremented {
    /// The revision of the counter now.
    pub revision: u64,
    /// Its number now.
    pub value: i64,
}

/// What the removal of a range did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeDeleted {
    /// The revision of the removal.
    pub revision: u64,
    /// How many keys were in the range.
    pub deleted: u64,
}
