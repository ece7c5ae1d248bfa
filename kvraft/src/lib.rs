//! An ordered map from bytes to bytes that lives inside your process and survives the loss of machines.
//!
//! A [`ReplicatedMap`] is a handle to a *node*: a data directory, a few threads and, unless it is
//! alone, one UDP socket. Nodes with the same list of members form a *cluster*, and each of them
//! holds the whole map. There is no server to run beside your program.
//!
//! ```
//! use futures_util::TryStreamExt;
//! use kvraft::{Config, Consistency, KeyRange, ReadOptions, ReplicatedMap, ScanOptions};
//!
//! # futures_executor::block_on(async {
//! # let dir = tempfile::tempdir()?;
//! # let data_dir = dir.path();
//! let map = ReplicatedMap::open(Config::new(data_dir)).await?;
//!
//! // Returns when the write is on the disks of a majority.
//! let revision = map.put("user/ada", "countess").await?;
//! map.put("user/alan", "mathematician").await?;
//!
//! // Sees every write that was acknowledged anywhere before it.
//! assert_eq!(map.get("user/ada").await?.as_deref(), Some(&b"countess"[..]));
//!
//! // Asks nobody, and still sees the write above.
//! let own = ReadOptions::new().consistency(Consistency::Local).min_revision(revision);
//! assert!(map.get_with("user/ada", own).await?.is_some());
//!
//! // Keys are ordered bytewise; a scan sees one moment.
//! let scan = map.scan(KeyRange::prefix("user/"), ScanOptions::new()).await?;
//! let users: Vec<_> = scan.map_ok(|entry| entry.key).try_collect().await?;
//! assert_eq!(users, ["user/ada", "user/alan"]);
//!
//! map.close().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Members
//!
//! A *member* is a node that its cluster counts: it stores everything, and as a *voter* it has a say
//! in what is decided. A decision takes a *majority* of the voters, so that three bear the loss of
//! one and five that of two. Give each node the same [`members`](Config::members) and the same
//! [`cluster_secret`](Config::cluster_secret), a [`name`](Config::name) and a directory of its own;
//! the first name founds the cluster as soon as all are there, and from then on the list is not used
//! any more. A [`Config`] with nothing but a directory is a cluster of one, without a socket.
//!
//! A node is known by its name to you, and to its peers by an id that is born with its data
//! directory. A name whose directory was wiped is another node, since it cannot know what it has
//! voted for: it joins as a *learner*, which replicates without a vote, and takes the place of its
//! former self once that was silent for ten seconds. Never run two copies of one directory.
//!
//! More nodes [join](Config::join) while the cluster works; members are
//! [promoted](ReplicatedMap::promote), [demoted](ReplicatedMap::demote) and
//! [removed](ReplicatedMap::remove_member) from any of them.
//!
//! # The leader
//!
//! At any time at most one member *leads*: it puts all writes into one order, the *log*, which the
//! others follow. When it is lost they elect another, within three to four times the
//! [`election_timeout`](Config::election_timeout): in less than a second by default. You need not find it: every member takes every
//! call, sends what only the leader can do to it, and asks again when it changes.
//! [`ReplicatedMap::status`] says who leads; [`ReplicatedMap::close`] hands leadership over first,
//! so that restarting members one after another shows no failed write.
//!
//! # Revisions
//!
//! Each write has a *revision*, a number that only grows. It is the same on every member, and an
//! [`Entry`] carries that of its last change and that of its creation. Given as
//! [`min_revision`](ReadOptions::min_revision), it makes any member wait until it has come so far.
//!
//! # Errors
//!
//! [`Error::kind`] says what you can do. The kinds that matter most:
//!
//! | kind | what happened | what to do |
//! |---|---|---|
//! | [`Unavailable`](ErrorKind::Unavailable) | nothing: no leader or no majority in time | retry |
//! | [`Overloaded`](ErrorKind::Overloaded) | nothing: a queue is at its bound | retry more slowly |
//! | [`Indeterminate`](ErrorKind::Indeterminate) | a write was sent, its answer lost | read back, then decide |
//! | [`Full`](ErrorKind::Full) | nothing: the map or a disk is full | delete something |
//! | [`InvalidArgument`](ErrorKind::InvalidArgument), [`Refused`](ErrorKind::Refused) | nothing | do what the text says |
//! | [`Storage`](ErrorKind::Storage), [`Corrupt`](ErrorKind::Corrupt) | this node's disk failed or lies | repair or replace the node |
//!
//! A write that fails was applied once or not at all, however often it had to be sent meanwhile. A
//! read that fails has no effect. Every call has a deadline
//! ([`request_timeout`](Config::request_timeout), or its own). Nothing here ends your process.
//!
//! # Threads
//!
//! Consensus runs on threads of the node. The futures work on any executor, and an executor that is
//! blocked for seconds costs no election. [`blocking`] is the same map for programs without async.

pub mod blocking;
mod client;
mod codec;
mod command;
mod config;
mod durations;
#[doc(hidden)]
pub mod environment;
mod error;
mod identity;
mod map;
mod metrics;
mod node;
mod offline;
mod options;
mod proposal;
mod raft;
mod record;
mod runtime;
mod status;
mod storage;
mod transport;
mod versions;

pub use bytes::Bytes;

pub use config::{ClientConfig, Config, Insecure};
pub use durations::DurationMetrics;
pub use error::{Error, ErrorKind, Result};
pub use map::{Backup, Lease, Lock, ReplicatedMap, TypedMap, Watch};
pub use metrics::{HeldMetrics, Metrics, ProposalMetrics, ReadMetrics, WatchMetrics};
pub use offline::{is_removed, recover_quorum, restore, set_aside, verify_backup, verify_data_dir};
pub use options::{
    BackupInfo, Change, Cmp, Compare, Consistency, Deleted, Entry, Incremented, KeyRange, LeaseId,
    LeaseInfo, MemberState, Op, OpResult, Page, Put, RangeDeleted, ReadOptions, Recovered,
    RestoreOptions, Restored, ScanOptions, SetAside, Txn, TxnResult, Verdict, Verification,
    Verified, WatchEvent, WatchOptions, WriteOptions,
};
pub use status::{LinkStatus, MemberStatus, Role, Status};

/// The Rust examples of the README are compiled and run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
