//! What a command that every node refused alike is told, in kinds and words.

use crate::command::Rejection;
use crate::error::{Error, ErrorKind, RequestTrouble};

pub(crate) fn rejected(rejection: Rejection) -> Error {
    match rejection {
        Rejection::Full { used, limit } => Error::full(format!(
            "the map holds {used} bytes of at most {limit} (storage_limit_bytes); delete, or raise the limit"
        )),
        Rejection::ValueTooLarge { limit } => Error::invalid(format!(
            "the value is larger than the cluster's max_value_bytes of {limit}"
        )),
        Rejection::TooManySessions => {
            Error::overloaded("the cluster has too many sessions; retry later")
        }
        Rejection::Conflict { revision: 0 } => {
            Error::new(ErrorKind::Conflict, "the key has no value now; read, and decide again")
                .at_revision(0)
        }
        Rejection::Conflict { revision } => Error::new(
            ErrorKind::Conflict,
            format!("the entry is at revision {revision} now; read it, and decide again"),
        )
        .at_revision(revision),
        Rejection::LeaseNotFound { lease } => Error::expired(format!(
            "lease {lease:016x} has ended, or was never granted; take a new one"
        )),
        Rejection::TooManyLeases { limit } => Error::overloaded(format!(
            "the cluster has {limit} leases, each key with a time to live among them; let some end"
        )),
        Rejection::LockHeld { token } => Error::refused(format!(
            "the lock is held, with the fencing token {token}; wait for it, or try again later"
        )),
        Rejection::TooManyWaiters { limit } => {
            Error::overloaded(format!("{limit} leases wait for the lock already; try again later"))
        }
        Rejection::TooManyLocks { limit } => {
            Error::overloaded(format!("{limit} locks are held; give some back"))
        }
        Rejection::NotLockHolder => {
            Error::expired("the lease neither holds the lock nor waits for it any more")
        }
        Rejection::NotANumber => Error::invalid(
            "the value under the key is no decimal number of 64 bits; put one, or take another key",
        ),
        Rejection::Overflow { value } => Error::invalid(format!(
            "the counter stands at {value}, and the sum does not fit into 64 bits"
        )),
        Rejection::ResultTooLarge { limit } => Error::invalid(format!(
            "what the transaction reads is larger than max_command_bytes of {limit}; read less at once"
        )),
        Rejection::RequestReused => Error::invalid(
            "the request id was used for another request; take a new one for each request",
        )
        .of_request(RequestTrouble::Reused),
        Rejection::TooManyRequests { limit } => Error::overloaded(format!(
            "the cluster remembers its limit of {limit} requests or their bytes, each for an hour; \
             retry later, or write without a request id"
        ))
        .of_request(RequestTrouble::TooMany),
        Rejection::OutOfPlace | Rejection::SessionExpired | Rejection::Stale => {
            Error::internal(format!("the cluster refused a command as {rejection:?}"))
        }
    }
}
