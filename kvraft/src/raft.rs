//! `TypeConfig` spells openraft's generics once; the rest of the crate uses these aliases.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use openraft::errors::ErrorSource;
use openraft::impls::leader_id_std;
use openraft::type_config::alias;

use crate::command::{Outcome, Payload};
use crate::error::Error;

openraft::declare_raft_types!(
    pub(crate) TypeConfig:
        D = Payload,
        R = Outcome,
        NodeId = u64,
        Node = Member,
        Term = u64,
        // One leader a term, as in the paper: a log id is then (term, index).
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        ErrorSource = StoreFailure,
);

pub(crate) type LogId = alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = alias::VoteOf<TypeConfig>;
pub(crate) type Entry = alias::EntryOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, Member>;
pub(crate) type StoredMembership = alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type Snapshot = alias::SnapshotOf<TypeConfig, SnapshotData>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub(crate) type AppendResponse = openraft::raft::AppendEntriesResponse<TypeConfig>;
pub(crate) type StreamAppendResult = openraft::raft::StreamAppendResult<TypeConfig>;
pub(crate) type StreamAppendError = openraft::raft::StreamAppendError<TypeConfig>;
pub(crate) type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
pub(crate) type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;
pub(crate) type SnapshotResponse = openraft::raft::SnapshotResponse<TypeConfig>;
pub(crate) type TransferRequest = openraft::raft::TransferLeaderRequest<TypeConfig>;
pub(crate) type TransferError = openraft::raft::TransferLeaderError<TypeConfig>;
pub(crate) type TransferResponse = openraft::raft::TransferLeaderResponse<TypeConfig>;

/// Why a store stopped raft: our own error, whose kind tells damage from a disk that failed.
#[derive(Debug, Clone)]
pub(crate) struct StoreFailure(Error);

impl StoreFailure {
    /// Returns the error of the store among the causes of `error`, which is how raft ended.
    pub(crate) fn behind(error: &(dyn StdError + 'static)) -> Option<Error> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(Self(own)) = error.downcast_ref() {
                return Some(own.clone());
            }
            cause = error.source();
        }
        None
    }
}

impl PartialEq for StoreFailure {
    fn eq(&self, other: &Self) -> bool {
        (self.0.kind(), self.0.message()) == (other.0.kind(), other.0.message())
    }
}

impl Eq for StoreFailure {}

impl fmt::Display for StoreFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for StoreFailure {}

impl ErrorSource for StoreFailure {
    /// The stores wrap our errors as those of `io`, since openraft asks for these.
    fn from_error<E: StdError + 'static>(error: &E) -> Self {
        let error: &(dyn StdError + 'static) = error;
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let own = inner.and_then(|inner| inner.downcast_ref::<Error>());
        Self(own.cloned().unwrap_or_else(|| Error::storage(error.to_string())))
    }

    fn from_string(text: impl ToString) -> Self {
        Self(Error::storage(text.to_string()))
    }
}

/// What the membership records of each member, beside its node id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Member {
    /// The user's stable word for the node.
    pub(crate) name: String,
    /// `host:port` of its QUIC endpoint, resolved again on every dial; empty if it has none.
    pub(crate) address: String,
    /// The base URL that clients may be redirected to; empty if it advertises none.
    pub(crate) http: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether the leader is to make it a voter once it has caught up.
    pub(crate) promote: bool,
}

/// The content of a snapshot on its way between the wings.
///
/// Storage makes both kinds; the transport drains an outgoing one and never sees an incoming one.
pub(crate) enum SnapshotData {
    /// A consistent view of the state of this node, read in chunks.
    Outgoing(Box<dyn SnapshotSource>),
    /// A state directory that was received whole and verified, ready to be swapped in.
    Incoming(StagedState),
}

/// Reads a snapshot from the local state, chunk by chunk.
pub(crate) trait SnapshotSource: Send + Sync {
    /// Returns the next chunk (at most [`SNAPSHOT_CHUNK_BYTES`] and one entry), or `None` at
    /// the end. Reads the disk: call it where blocking is allowed.
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>>;

    /// Returns whether the same bytes were sent before in part, so that a peer may have some.
    fn is_sent_again(&self) -> bool;

    /// Goes on behind so many bytes, from the start of the snapshot; false if it has not that
    /// many. Blocks as `next_chunk` does.
    fn skip(&mut self, bytes: u64) -> io::Result<bool>;

    /// Takes note that it need not be sent again: the peer has it, or has refused it.
    fn settle(&mut self);
}

/// Chunks of a snapshot are about this large, so that a slow link gives up little work.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

/// A state directory of its own generation, complete on disk but not yet the current one.
#[derive(Debug)]
pub(crate) struct StagedState {
    /// Storage's hold on the directory: it removes what was never installed when it is dropped.
    pub(crate) hold: Box<dyn std::any::Any + Send + Sync>,
    /// Set once it is the current one: raft passes over a state without a word.
    pub(crate) installed: Arc<AtomicBool>,
}

impl StagedState {
    pub(crate) fn new(hold: impl std::any::Any + Send + Sync) -> Self {
        Self { hold: Box::new(hold), installed: Arc::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn raft_ends_with_the_error_of_its_store() {
        let damage = io::Error::other(Error::corrupt("entry 5 is damaged"));
        let source = StoreFailure::from_error(&damage);
        let fatal = openraft::StorageError::<TypeConfig>::read_logs(source);
        let error = StoreFailure::behind(&fatal).unwrap();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, "entry 5 is damaged"));
        let foreign = StoreFailure::from_error(&io::Error::other("on fire"));
        assert_eq!(foreign.0.kind(), ErrorKind::Storage);
    }
}
