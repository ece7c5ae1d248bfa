//! `Handler` is what answers peers, `Incoming` a snapshot that one sends.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::sync::oneshot;

use super::greeting::{Greeter, Hello};
use super::message::{Request, Response};
use super::query::{Answer, Query};
use crate::error::Result;
use crate::raft::{AppendRequest, SnapshotMeta, SnapshotResponse, StreamAppendResult, Vote};

/// What a node does with the requests of its peers.
pub(crate) trait Handler: Greeter {
    /// Answers one request (never `StreamAppend`, `Snapshot` or a query whose answer comes in
    /// parts, which have their own calls).
    ///
    /// The future is dropped when the connection is lost.
    fn handle(&self, from: &Hello, request: Request) -> BoxFuture<'static, Response>;

    /// Answers appends in order; an error is told to the peer and ends the stream.
    fn stream_append(
        &self,
        from: &Hello,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxStream<'static, Result<StreamAppendResult>>;

    /// Answers a query in parts, of which one is taken at a time; an error is told to the peer and
    /// ends them.
    fn parts(&self, query: Query) -> BoxStream<'static, Result<Answer>>;

    /// Receives and installs a snapshot.
    ///
    /// The future is dropped when the connection is lost; what came is not to be lost with it.
    fn install_snapshot(
        &self,
        from: &Hello,
        snapshot: Incoming,
    ) -> BoxFuture<'static, Result<SnapshotResponse>>;
}

/// A snapshot that a peer begins to send, or goes on to send.
pub(crate) struct Incoming {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    /// Takes how many bytes of it are here, of a peer that asks; only what follows is then sent.
    pub(crate) held: Option<oneshot::Sender<u64>>,
    /// An error among these means that it came in part.
    pub(crate) chunks: BoxStream<'static, Result<Bytes>>,
}
