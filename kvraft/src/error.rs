//! `Error` is the one error vocabulary: what went wrong is a kind, what to do next is its message.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
///
/// The kinds are the same in Rust, C, Python and HTTP. New kinds may be added in a minor release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call or the configuration is wrong; nothing was done. Fix it.
    InvalidArgument,
    /// A condition of the write did not hold; nothing was done. Read and decide again.
    Conflict,
    /// No leader or no quorum in time; nothing was done. Retry freely.
    Unavailable,
    /// A write was sent and its answer was lost: it may or may not be applied. Read back.
    Indeterminate,
    /// The storage limit is reached; nothing was done. Delete something or raise the limit.
    Full,
    /// A watch or scan is too far behind. Start it again.
    Compacted,
    /// The lease or lock is gone; nothing was done. Acquire it again.
    Expired,
    /// The cluster or the data directory does not allow it; nothing was done.
    Refused,
    /// A queue is at its bound; nothing was done. Slow down, then retry.
    Overloaded,
    /// The credentials are missing or do not allow it; nothing was done.
    Unauthorized,
    /// The map was closed, or is used after a fork; nothing was done. Open it again.
    Closed,
    /// The disk of this node failed and the node stopped serving. Writes may be applied.
    Storage,
    /// Stored or received bytes cannot be trusted. Restore this node.
    Corrupt,
    /// A bug in kvraft. Please report it.
    Internal,
}

impl ErrorKind {
    /// Every kind, in the order of its C code (the first is 1).
    pub const ALL: [Self; 14] = [
        Self::InvalidArgument,
        Self::Conflict,
        Self::Unavailable,
        Self::Indeterminate,
        Self::Full,
        Self::Compacted,
        Self::Expired,
        Self::Refused,
        Self::Overloaded,
        Self::Unauthorized,
        Self::Closed,
        Self::Storage,
        Self::Corrupt,
        Self::Internal,
    ];

    /// Returns the name of the kind in snake case, as used in logs and problem documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Indeterminate => "indeterminate",
            Self::Full => "full",
            Self::Compacted => "compacted",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Overloaded => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::Closed => "closed",
            Self::Storage => "storage",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a call failed, and what to do next.
///
/// Act on [`Error::kind`]; the text is for people and may change in any release.
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await.unwrap();
/// use kvraft::ErrorKind;
///
/// let error = map.put("", "a key has at least one byte").await.unwrap_err();
/// match error.kind() {
///     ErrorKind::Unavailable | ErrorKind::Overloaded => println!("nothing happened: try again"),
///     ErrorKind::Indeterminate => println!("read back whether it was applied"),
///     _ => println!("{error}"),
/// }
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// # });
/// ```
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: Arc<str>,
    revision: Option<u64>,
    request: Option<RequestTrouble>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What is wrong with a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestTrouble {
    /// It was used for another request.
    Reused,
    /// As many are remembered as there can be.
    TooMany,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self { kind, message: message.into(), revision: None, request: None, source: None }
    }

    pub(crate) fn invalid(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn unavailable(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    pub(crate) fn indeterminate(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Indeterminate, message)
    }

    pub(crate) fn refused(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    pub(crate) fn closed(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Closed, message)
    }

    pub(crate) fn storage(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Storage, message)
    }

    pub(crate) fn corrupt(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    pub(crate) fn internal(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub(crate) fn full(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Full, message)
    }

    pub(crate) fn expired(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Expired, message)
    }

    pub(crate) fn overloaded(message: impl Into<Arc<str>>) -> Self {
        Self::new(ErrorKind::Overloaded, message)
    }

    /// Says that it is the request id that is at fault.
    #[must_use]
    pub(crate) const fn of_request(mut self, trouble: RequestTrouble) -> Self {
        self.request = Some(trouble);
        self
    }

    /// Names the revision that belongs to the error.
    #[must_use]
    pub(crate) const fn at_revision(mut self, revision: u64) -> Self {
        self.revision = Some(revision);
        self
    }

    #[must_use]
    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Puts what was being done in front of the message; the kind stays.
    #[must_use]
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message).into();
        self
    }

    /// Returns what the caller can do about this error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the text without the chain of causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the revision that belongs to the error: the current one of the key for
    /// [`ErrorKind::Conflict`] (0 if the key has no value), the oldest available one for
    /// [`ErrorKind::Compacted`] of a watch.
    #[must_use]
    pub const fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// Returns whether the request id was used for another request before.
    #[must_use]
    pub const fn is_request_reused(&self) -> bool {
        matches!(self.request, Some(RequestTrouble::Reused))
    }

    /// Returns whether the cluster remembers as many request ids as it can: the same write would
    /// be taken without one, or later.
    #[must_use]
    pub const fn is_request_table_full(&self) -> bool {
        matches!(self.request, Some(RequestTrouble::TooMany))
    }

    /// Returns whether the same call may succeed later without any change by the caller, and
    /// is known not to have been applied.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Overloaded)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_its_kind_its_message_and_its_cause() {
        let error = Error::storage("cannot open the log")
            .with_source(std::io::Error::other("disk on fire"));
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert_eq!(error.to_string(), "cannot open the log: disk on fire");
        assert_eq!(format!("{error:?}"), "storage(cannot open the log: disk on fire)");
    }

    #[test]
    fn every_kind_has_its_own_name() {
        let names: std::collections::BTreeSet<_> =
            ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ErrorKind::ALL.len());
    }
}
