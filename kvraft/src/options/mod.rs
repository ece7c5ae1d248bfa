//! What one call may ask for beyond its key, and what it answers.

mod backup;
mod lease;
mod members;
mod range;
mod read;
mod restore;
mod txn;
mod verification;
mod verify;
mod watch;
mod write;

pub use self::backup::BackupInfo;
pub use self::lease::{LeaseId, LeaseInfo};
pub(crate) use self::members::{AskedChange, MembershipChange};
pub use self::range::{KeyRange, Page, ScanOptions};
pub use self::read::{Consistency, Entry, ReadOptions};
pub use self::restore::{Recovered, RestoreOptions, Restored};
pub(crate) use self::txn::check_key;
pub use self::txn::{Cmp, Compare, Op, OpResult, Txn, TxnResult};
pub use self::verification::{MemberState, Verdict, Verification};
pub use self::verify::{SetAside, Verified};
pub(crate) use self::watch::Changes;
pub use self::watch::{Change, WatchEvent, WatchOptions};
pub(crate) use self::write::checked_ttl;
pub use self::write::{Deleted, Incremented, Put, RangeDeleted, WriteOptions};
