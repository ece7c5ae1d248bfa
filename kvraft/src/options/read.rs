//! `ReadOptions` is what a read may ask for, `Entry` what it gives.

use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;

use super::LeaseId;
use crate::command::Found;
use crate::error::{Error, Result};

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Sees every write that was acknowledged anywhere before the read began. Costs one round
    /// trip to a quorum, shared by the reads that wait together.
    #[default]
    Linearizable,
    /// As linearizable, but without a round trip of the leader's: it has heard from a quorum less
    /// than 80 % of the longest election timeout ago, and the voters elect nobody else before all
    /// of it is over. This trusts clocks: it may miss the newest writes if the clock of one machine
    /// runs a fifth faster than another's, or a virtual machine is paused and does not notice. On
    /// another node than the leader it still costs one round trip to the leader.
    Lease,
    /// Sees what this node has applied: no network, possibly old, and it may move backwards over
    /// a restart of this node. `min_revision` prevents that.
    Local,
}

impl FromStr for Consistency {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "linearizable" => Ok(Self::Linearizable),
            "lease" => Ok(Self::Lease),
            "local" => Ok(Self::Local),
            _ => Err(Error::invalid(format!(
                "consistency {text:?} is none of linearizable, lease and local"
            ))),
        }
    }
}

/// What a read may ask for. The default takes everything from the [`Config`](crate::Config).
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// use kvraft::{Consistency, ReadOptions};
///
/// let revision = map.put("k", "v").await?;
/// // No network, and never older than the write above.
/// let own = ReadOptions::new().consistency(Consistency::Local).min_revision(revision);
/// let entry = map.get_with("k", own).await?.expect("it was put");
/// assert_eq!(entry.revision, revision);
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions {
    pub(crate) consistency: Option<Consistency>,
    pub(crate) min_revision: u64,
    pub(crate) timeout: Option<Duration>,
}

impl ReadOptions {
    /// Makes the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how fresh the read must be.
    #[must_use]
    pub const fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// Waits until this node has applied `revision`: with the revision of your last write you
    /// read your writes on any node, without a trip to the leader.
    #[must_use]
    pub const fn min_revision(mut self, revision: u64) -> Self {
        self.min_revision = revision;
        self
    }

    /// Sets the deadline of the call, counted from its start.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

/// A key with its value and its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// 1 to 511 bytes.
    pub key: Bytes,
    /// Empty in a scan of keys only.
    pub value: Bytes,
    /// The revision of the last change.
    pub revision: u64,
    /// The revision at which the key was created; a delete ends its life.
    pub created: u64,
    /// The lease that the entry ends with; a put with a time to live has one of its own.
    pub lease: Option<LeaseId>,
}

impl Entry {
    pub(crate) fn new(key: Bytes, found: Found) -> Self {
        let Found { value, revision, created, lease } = found;
        Self { key, value, revision, created, lease: LeaseId::of(lease) }
    }
}
