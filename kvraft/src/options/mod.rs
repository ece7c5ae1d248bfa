//! What one call may ask for beyond its key, and what it answers.

mod lease;
mod members;
mod range;
mod read;
mod txn;
mod watch;
mod write;

pub use self::lease::{LeaseId, LeaseInfo};
pub(crate) use self::members::MembershipChange;
pub use self::range::{KeyRange, Page, ScanOptions};
pub use self::read::{Consistency, Entry, ReadOptions};
pub(crate) use self::txn::check_key;
pub use self::txn::{Cmp, Compare, Op, OpResult, Txn, TxnResult};
pub(crate) use self::watch::Changes;
pub use self::watch::{Change, WatchEvent, WatchOptions};
pub(crate) use self::write::checked_ttl;
pub use self::write::{Deleted, Incremented, Put, RangeDeleted, WriteOptions};
