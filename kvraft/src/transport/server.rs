//! `Handler` is what the accepting side of a node asks of the rest of the node.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::message::{Hello, Request, Response};
use crate::error::{Error, Result};
use crate::raft::{AppendRequest, SnapshotMeta, SnapshotResponse, StreamAppendResult, Vote};

/// What the rest of the node does with a peer's hello and its requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Returns what this node says of itself; asked anew for each connection.
    fn hello(&self) -> Hello;

    /// Checks a peer's hello: cluster, clones, format. An error is told to the peer in words.
    ///
    /// Called on both sides of a connection, with a deadline of a few seconds.
    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<()>>;

    /// Answers one request (never `StreamAppend` or `Snapshot`, which have their own calls).
    ///
    /// The future is dropped when the connection is lost.
    fn handle(&self, from: &Hello, request: Request) -> BoxFuture<'static, Response>;

    /// Answers appends in order; an error is told to the peer and ends the stream.
    fn stream_append(
        &self,
        requests: BoxStream<'static, AppendRequest>,
    ) -> BoxStream<'static, Result<StreamAppendResult>>;

    /// Receives and installs a snapshot; an error among the chunks means that it came in part.
    fn install_snapshot(
        &self,
        vote: Vote,
        meta: SnapshotMeta,
        chunks: BoxStream<'static, Result<Bytes>>,
    ) -> BoxFuture<'static, Result<SnapshotResponse, Error>>;
}
