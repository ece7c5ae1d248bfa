//! Whether all members have the same state, and what to do about one that has not.

use std::time::Duration;

use super::ReplicatedMap;
use crate::error::Result;
use crate::options::Verification;

/// How long a refill is waited for; it goes on beyond that.
const REFILL_PATIENCE: Duration = Duration::from_secs(600);
/// How long the members may take to agree on a moment.
const VERIFY_PATIENCE: Duration = Duration::from_secs(30);

impl ReplicatedMap {
    /// Has every member note the hash over all that it replicates as of one log entry, and compares
    /// them. Costs one write and no reading: the hash is kept with every change.
    ///
    /// Members that have applied the same entries have the same state, unless a machine flipped a
    /// bit in memory or a version of kvraft had a fault. What differs from the majority of the
    /// voters takes itself out at once: it serves no reads, leads nobody, fetches the state of
    /// another member, and says so in its log and in [`status`](Self::status). Without a majority on
    /// one side nobody is taken out: [`Verdict::Split`](crate::Verdict) is an alarm.
    ///
    /// A member has five seconds to come to the entry and to answer; one that does not is reported
    /// with the reason. What lies damaged on a disk and was not read since is not found by this, but
    /// by [`verify_data_dir`](crate::verify_data_dir).
    ///
    /// # Errors
    /// As [`put`](Self::put). That states differ is no error but what this is for.
    ///
    /// # Cancel safety
    /// Safe: the members compare their states in any case.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// use kvraft::Verdict;
    ///
    /// map.put("k", "v").await?;
    /// let verification = map.verify().await?;
    /// assert_eq!(verification.verdict(), Verdict::Agreed);
    /// assert_eq!(verification.members.len(), 1);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn verify(&self) -> Result<Verification> {
        self.place.verify(self.deadline(Some(VERIFY_PATIENCE))).await
    }

    /// Has this member throw its state away and fetch that of another one: after
    /// [`Corrupt`](crate::ErrorKind::Corrupt) was read, or when this node is the wrong one of a
    /// split. Its log, its votes and its name stay; a leader hands over first.
    ///
    /// Until it is done, this node serves no reads (`Unavailable`), watches get
    /// [`Compacted`](crate::ErrorKind::Compacted), and writes go on through the others. A restart
    /// meanwhile goes on with it. The disk has to hold both states for a moment.
    ///
    /// A node that does not even start is not refilled by this but by a new disk: see
    /// [`set_aside`](crate::set_aside).
    ///
    /// # Errors
    /// `Refused` for the only voter, and on a client. `Unavailable` if it is not done in ten
    /// minutes, and goes on; or if all other voters fetch theirs too, so that there is none to
    /// fetch: then the node serves its own state again.
    ///
    /// # Cancel safety
    /// Dropping the future does not end it.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// // The only member has nobody to ask.
    /// let error = map.refill().await.unwrap_err();
    /// assert_eq!(error.kind(), kvraft::ErrorKind::Refused);
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn refill(&self) -> Result<()> {
        self.place.refill(self.deadline(Some(REFILL_PATIENCE))).await
    }
}
