//! `kvraft_status` is the error vocabulary as C sees it.

use std::ffi::{CStr, c_char, c_int};

use kvraft::ErrorKind;

/// What became of a call.
///
/// 0 is success, -1 is an answer (there is nothing), everything above 0 is an error. Values
/// are never given a new meaning; new ones may come with a new minor version, so treat one that
/// you do not know like KVRAFT_INTERNAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum kvraft_status {
    /// There is no such key, nothing more to read, or nothing yet: the function says which. Not an
    /// error: no kvraft_error is made.
    KVRAFT_NOT_FOUND = -1,
    /// Done.
    KVRAFT_OK = 0,
    /// The call or the configuration is wrong; nothing was done. Fix it.
    KVRAFT_INVALID_ARGUMENT = 1,
    /// A condition of the write did not hold; nothing was done. Read and decide again.
    KVRAFT_CONFLICT = 2,
    /// No leader or no quorum in time; nothing was done. Retry freely.
    KVRAFT_UNAVAILABLE = 3,
    /// A write was sent and its answer was lost: it may or may not be applied. Read it back.
    KVRAFT_INDETERMINATE = 4,
    /// The storage limit is reached; nothing was done. Delete something or raise the limit.
    KVRAFT_FULL = 5,
    /// A watch or scan is too far behind. Start it again.
    KVRAFT_COMPACTED = 6,
    /// The lease or lock is gone; nothing was done. Acquire it again.
    KVRAFT_EXPIRED = 7,
    /// The cluster or the data directory does not allow it; nothing was done.
    KVRAFT_REFUSED = 8,
    /// A queue is at its bound; nothing was done. Slow down, then retry.
    KVRAFT_OVERLOADED = 9,
    /// The credentials are missing or do not allow it; nothing was done.
    KVRAFT_UNAUTHORIZED = 10,
    /// The map was closed, or is used after a fork; nothing was done. Open it again.
    KVRAFT_CLOSED = 11,
    /// The disk of this node failed and the node stopped serving. Writes may be applied.
    KVRAFT_STORAGE = 12,
    /// Stored or received bytes cannot be trusted; a write may be applied. Restore this node.
    KVRAFT_CORRUPT = 13,
    /// A bug in kvraft; a write may be applied. Please report it.
    KVRAFT_INTERNAL = 14,
}

impl kvraft_status {
    pub(crate) const ALL: [Self; 16] = [
        Self::KVRAFT_NOT_FOUND,
        Self::KVRAFT_OK,
        Self::KVRAFT_INVALID_ARGUMENT,
        Self::KVRAFT_CONFLICT,
        Self::KVRAFT_UNAVAILABLE,
        Self::KVRAFT_INDETERMINATE,
        Self::KVRAFT_FULL,
        Self::KVRAFT_COMPACTED,
        Self::KVRAFT_EXPIRED,
        Self::KVRAFT_REFUSED,
        Self::KVRAFT_OVERLOADED,
        Self::KVRAFT_UNAUTHORIZED,
        Self::KVRAFT_CLOSED,
        Self::KVRAFT_STORAGE,
        Self::KVRAFT_CORRUPT,
        Self::KVRAFT_INTERNAL,
    ];

    /// Whether a write that ended like this may have been applied.
    pub(crate) const fn may_be_applied(self) -> bool {
        match self {
            Self::KVRAFT_INDETERMINATE
            | Self::KVRAFT_STORAGE
            | Self::KVRAFT_CORRUPT
            | Self::KVRAFT_INTERNAL => true,
            Self::KVRAFT_NOT_FOUND
            | Self::KVRAFT_OK
            | Self::KVRAFT_INVALID_ARGUMENT
            | Self::KVRAFT_CONFLICT
            | Self::KVRAFT_UNAVAILABLE
            | Self::KVRAFT_FULL
            | Self::KVRAFT_COMPACTED
            | Self::KVRAFT_EXPIRED
            | Self::KVRAFT_REFUSED
            | Self::KVRAFT_OVERLOADED
            | Self::KVRAFT_UNAUTHORIZED
            | Self::KVRAFT_CLOSED => false,
        }
    }

    const fn name(self) -> &'static CStr {
        match self {
            Self::KVRAFT_NOT_FOUND => c"not_found",
            Self::KVRAFT_OK => c"ok",
            Self::KVRAFT_INVALID_ARGUMENT => c"invalid_argument",
            Self::KVRAFT_CONFLICT => c"conflict",
            Self::KVRAFT_UNAVAILABLE => c"unavailable",
            Self::KVRAFT_INDETERMINATE => c"indeterminate",
            Self::KVRAFT_FULL => c"full",
            Self::KVRAFT_COMPACTED => c"compacted",
            Self::KVRAFT_EXPIRED => c"expired",
            Self::KVRAFT_REFUSED => c"refused",
            Self::KVRAFT_OVERLOADED => c"overloaded",
            Self::KVRAFT_UNAUTHORIZED => c"unauthorized",
            Self::KVRAFT_CLOSED => c"closed",
            Self::KVRAFT_STORAGE => c"storage",
            Self::KVRAFT_CORRUPT => c"corrupt",
            Self::KVRAFT_INTERNAL => c"internal",
        }
    }
}

impl From<ErrorKind> for kvraft_status {
    /// The one place that maps an error of the core.
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::KVRAFT_INVALID_ARGUMENT,
            ErrorKind::Conflict => Self::KVRAFT_CONFLICT,
            ErrorKind::Unavailable => Self::KVRAFT_UNAVAILABLE,
            ErrorKind::Indeterminate => Self::KVRAFT_INDETERMINATE,
            ErrorKind::Full => Self::KVRAFT_FULL,
            ErrorKind::Compacted => Self::KVRAFT_COMPACTED,
            ErrorKind::Expired => Self::KVRAFT_EXPIRED,
            ErrorKind::Refused => Self::KVRAFT_REFUSED,
            ErrorKind::Overloaded => Self::KVRAFT_OVERLOADED,
            ErrorKind::Unauthorized => Self::KVRAFT_UNAUTHORIZED,
            ErrorKind::Closed => Self::KVRAFT_CLOSED,
            ErrorKind::Storage => Self::KVRAFT_STORAGE,
            ErrorKind::Corrupt => Self::KVRAFT_CORRUPT,
            // `ErrorKind` is open for other crates; the test below fails for a kind not named here.
            ErrorKind::Internal | _ => Self::KVRAFT_INTERNAL,
        }
    }
}

/// Returns the name of a status in lower case, such as "unavailable", as logs and the other
/// languages spell it; "unknown" for a number that is none.
///
/// The text is static: do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_status_name(status: c_int) -> *const c_char {
    // A number, since C may put any number into an enum, and Rust may not.
    let known = kvraft_status::ALL.into_iter().find(|known| *known as c_int == status);
    known.map_or(c"unknown", kvraft_status::name).as_ptr()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Table {
        error: Vec<Row>,
    }

    #[derive(Deserialize)]
    struct Row {
        kind: String,
        c: c_int,
    }

    #[test]
    fn every_kind_of_error_has_the_code_and_the_name_of_the_shared_table() {
        let table: Table =
            toml::from_str(include_str!("../../kvraft/testdata/errors.toml")).expect("a table");
        let shared: BTreeMap<_, _> = table.error.into_iter().map(|row| (row.kind, row.c)).collect();
        let here: BTreeMap<_, _> = ErrorKind::ALL
            .into_iter()
            .map(|kind| (kind.name().to_owned(), kvraft_status::from(kind) as c_int))
            .collect();
        assert_eq!(here, shared);
        for kind in ErrorKind::ALL {
            assert_eq!(kvraft_status::from(kind).name().to_str(), Ok(kind.name()));
        }
    }
}
