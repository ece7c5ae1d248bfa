//! `ReplicatedMap` is the map that users hold: it decides what is meant, the node decides where.

mod backup;
mod integrity;
mod keeper;
mod lease;
mod lock;
mod members;
mod place;
mod read;
mod scan;
mod typed;
mod watch;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::backup::Backup;
use self::keeper::Keeper;
pub use self::lease::Lease;
pub use self::lock::Lock;
use self::place::Place;
pub use self::typed::TypedMap;
pub use self::watch::Watch;
use crate::client::Client;
use crate::config::{ClientConfig, Config};
use crate::error::Result;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::status::Status;

/// The longest a call waits (a year): a longer timeout means for ever, and could overflow the clock.
const MAX_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An ordered map from bytes to bytes that lives in this process and on the other members.
///
/// A handle: cheap to clone, usable from any thread and any async executor. Keys have 1 to 511
/// bytes, values up to `max_value_bytes`. Every call works on every member: writes find the
/// leader, reads are answered here. Dropping the last handle stops the node in the background;
/// [`close`](Self::close) hands leadership over first and waits.
///
/// # Examples
/// ```
/// # futures_executor::block_on(async {
/// let dir = tempfile::tempdir().unwrap();
/// let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// let revision = map.put("greeting", "hello").await?;
/// assert_eq!(map.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
/// assert!(revision > 0);
/// map.close().await?;
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct ReplicatedMap {
    place: Place,
    keeper: Arc<Keeper>,
}

impl std::fmt::Debug for ReplicatedMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicatedMap").field("name", &self.place.name()).finish_non_exhaustive()
    }
}

impl ReplicatedMap {
    /// Opens the node whose data lies in the configured directory, and starts it.
    ///
    /// Returns when the node has recovered what its disk holds; a leader may not be known yet
    /// ([`wait_ready`](Self::wait_ready) waits for one, and every call does by itself).
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong setting or an address that cannot be bound, `Refused` if the
    /// directory is in use, belongs to another node or is of a newer format, `Corrupt` if its bytes
    /// cannot be trusted, `Storage` if the disk fails.
    ///
    /// # Cancel safety
    /// Dropping the future stops the node that was being opened.
    pub async fn open(config: Config) -> Result<Self> {
        let node = Node::open(config.check()?).await?;
        Ok(Self { place: Place::Member(node), keeper: Arc::default() })
    }

    /// Connects to the members of a cluster as a *client*: a process without a disk or a vote, for
    /// workers, scripts and jobs that come and go.
    ///
    /// Every verb works as on a member, with the same promises. Writes go to the leader, which the
    /// members name; reads, watches and waits for locks go to one member, and to another when it
    /// fails. Values cross the network, so that a read takes a round trip. What `local` reads see
    /// is what the member has that is asked: give [`min_revision`](crate::ReadOptions::min_revision) to read
    /// your own writes.
    ///
    /// # Errors
    /// `InvalidArgument` for a wrong setting, `Unavailable` if no endpoint has answered in
    /// `request_timeout`, `Unauthorized` if they have another secret or authority.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    /// # let address = socket.local_addr().unwrap().to_string();
    /// # drop(socket);
    /// # let secret = "0123456789abcdef0123456789abcdef";
    /// # let config = kvraft::Config::new(dir.path()).listen(&address).cluster_secret(secret);
    /// # let member = kvraft::ReplicatedMap::open(config).await?;
    /// use kvraft::{ClientConfig, ReplicatedMap};
    ///
    /// let map = ReplicatedMap::connect(ClientConfig::new([address]).cluster_secret(secret)).await?;
    /// map.put("greeting", "hello").await?;
    /// assert_eq!(map.get("greeting").await?.as_deref(), Some(&b"hello"[..]));
    /// map.close().await?;
    /// # member.close().await?;
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub async fn connect(config: ClientConfig) -> Result<Self> {
        let client = Client::connect(config.check()?).await?;
        Ok(Self { place: Place::Client(client), keeper: Arc::default() })
    }

    /// Says what this node knows of itself and its cluster, without asking anyone.
    #[must_use]
    pub fn status(&self) -> Status {
        self.place.status()
    }

    /// Says how much this node has done since it was opened, without asking anyone.
    ///
    /// # Errors
    /// `Closed` once the map is closed, `Storage` if the state file cannot be read.
    ///
    /// # Examples
    /// ```
    /// # futures_executor::block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
    /// map.put("k", "v").await?;
    /// let before = map.metrics()?;
    /// map.put("k", "w").await?;
    /// let after = map.metrics()?;
    /// assert_eq!(after.log_entries - before.log_entries, 1);
    /// assert!(after.log_flushes > before.log_flushes);
    /// # map.close().await?;
    /// # Ok::<(), kvraft::Error>(()) }).unwrap();
    /// ```
    pub fn metrics(&self) -> Result<Metrics> {
        self.place.metrics()
    }

    /// Returns the largest value in bytes that the cluster takes now, as this node has applied it.
    ///
    /// A face that reads a value from a network stops reading here.
    ///
    /// # Errors
    /// `Closed` once the map is closed.
    pub fn max_value_bytes(&self) -> Result<usize> {
        self.place.max_value_bytes()
    }

    /// Returns the largest command in bytes that the cluster takes now, as this node has applied it:
    /// a transaction with all of its keys and values.
    ///
    /// # Errors
    /// `Closed` once the map is closed.
    pub fn max_command_bytes(&self) -> Result<usize> {
        self.place.max_command_bytes()
    }

    /// Waits until this node has recovered and knows a leader.
    ///
    /// # Errors
    /// `Unavailable` if that takes longer than `timeout`; the error that stopped the node, if one did.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn wait_ready(&self, timeout: Duration) -> Result<()> {
        self.place.wait_ready(self.deadline(Some(timeout))).await
    }

    /// Stops the node: hands leadership over, finishes what was begun, closes files and socket.
    ///
    /// Other handles to this node get `Closed` from then on, and whoever waits for the end of a lease
    /// is told, since nobody keeps it alive any more. Calling it again does nothing.
    ///
    /// # Errors
    /// `Storage` if the last writes to the disk failed. The node is stopped all the same.
    ///
    /// # Cancel safety
    /// Dropping the future lets the node stop in the background.
    pub async fn close(&self) -> Result<()> {
        let closed = self.place.close().await;
        self.keeper.end();
        closed
    }

    fn deadline(&self, timeout: Option<Duration>) -> Instant {
        let timeout = timeout.unwrap_or_else(|| self.place.request_timeout());
        self.place.now() + timeout.min(MAX_TIMEOUT)
    }
}
