//! `Network` is how openraft reaches its peers.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory, stream_append_sequential};
use openraft::{ErrorSubject, ErrorVerb, StorageError};
use quinn::{RecvStream, SendStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::client::{CallError, Client, Lane};
use super::frame::{read_frame, write_frame};
use super::kind::RESPONSE_LIMIT;
use super::message::{Request, Response};
use super::outgoing::{Outgoing, SendFailure};
use super::pace::Pace;
use super::peer::Peer;
use super::quic;
use crate::error::Error;
use crate::raft::{
    AppendRequest, AppendResponse, Member, Snapshot, SnapshotData, SnapshotResponse,
    StreamAppendResult, TransferRequest, TransferResponse, TypeConfig, Vote, VoteRequest,
    VoteResponse,
};

/// Appends on their way to one peer without an answer: as many as its pipeline holds.
const MAX_IN_FLIGHT: usize = 64;
/// An append without an answer for this long has a stuck disk behind it; it is sent anew.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
type RpcError = RPCError<TypeConfig>;
type SendError = StreamingError<TypeConfig>;
type AppendResults<'s> = BoxStream<'s, Result<StreamAppendResult, RpcError>>;

/// Makes the way to each peer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Network {
    client: Option<Arc<Client>>,
    pace: Arc<Pace>,
}

impl Network {
    pub(super) const fn new(client: Arc<Client>, pace: Arc<Pace>) -> Self {
        Self { client: Some(client), pace }
    }

    /// The network of a single node without a socket: nobody is there.
    pub(crate) const fn none(pace: Arc<Pace>) -> Self {
        Self { client: None, pace }
    }

    fn to(&self, target: u64, member: &Member, sending: Sending) -> PeerNetwork {
        let peer = Peer {
            node_id: Some(target),
            name: member.name.clone(),
            address: member.address.clone(),
        };
        PeerNetwork { client: self.client.clone(), peer, sending, pace: Arc::clone(&self.pace) }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerNetwork;

    async fn new_client(&mut self, target: u64, node: &Member) -> PeerNetwork {
        self.to(target, node, Sending::Pipelined)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Member) -> PeerNetwork {
        self.to(target, node, Sending::OneByOne)
    }
}

/// How appends of a stream travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// On one ordered stream, many on their way.
    Pipelined,
    /// Each on a stream of its own that goes first: heartbeats, never behind entries.
    OneByOne,
}

/// The way to one peer.
pub(crate) struct PeerNetwork {
    /// `None` without a socket: every peer is unreachable.
    client: Option<Arc<Client>>,
    peer: Peer,
    sending: Sending,
    /// Of snapshots, whoever they are for.
    pace: Arc<Pace>,
}

impl RaftNetworkV2<TypeConfig> for PeerNetwork {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendResponse, RpcError> {
        let has_prev = rpc.prev_log_id.is_some();
        let response = match self.call(&Request::Append(rpc), &option).await {
            Ok(Response::Append(response)) => response,
            Ok(other) => return Err(unreachable(&other.unfit(&self.peer, "append"))),
            Err(error) => return Err(error),
        };
        // Without a log id in front nothing can conflict, and openraft relies on that.
        if response == AppendResponse::Conflict && !has_prev {
            let conflict = Response::Append(response);
            return Err(unreachable(&conflict.unfit(&self.peer, "append")));
        }
        Ok(response)
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<AppendResults<'s>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + Send + Unpin + 'static,
    {
        match self.sending {
            Sending::OneByOne => stream_append_sequential(self, input, option),
            Sending::Pipelined => Box::pin(self.pipeline(input, option)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        match self.call(&Request::Vote(rpc), &option).await {
            Ok(Response::Vote(response)) => Ok(response),
            Ok(other) => Err(unreachable(&other.unfit(&self.peer, "vote"))),
            Err(error) => Err(error),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        match self.call(&Request::PreVote(rpc), &option).await {
            Ok(Response::Vote(response)) => Ok(response),
            Ok(other) => Err(unreachable(&other.unfit(&self.peer, "pre-vote"))),
            Err(error) => Err(error),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse, SendError> {
        // Biased: once given up, nothing more of it is done.
        tokio::select! {
            biased;
            closed = cancel => Err(closed.into()),
            sent = self.send_snapshot(vote, snapshot, option.soft_ttl()) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferRequest,
        option: RPCOption,
    ) -> Result<TransferResponse, RpcError> {
        match self.call(&Request::TransferLeader(req), &option).await {
            Ok(Response::TransferLeader(response)) => Ok(response),
            Ok(other) => Err(unreachable(&other.unfit(&self.peer, "transfer"))),
            Err(error) => Err(error),
        }
    }
}

impl PeerNetwork {
    fn client(&self) -> Result<&Arc<Client>, Error> {
        self.client.as_ref().ok_or_else(|| Error::unavailable("this node has no socket"))
    }

    async fn call(&self, request: &Request, option: &RPCOption) -> Result<Response, RpcError> {
        let deadline = within(option.soft_ttl());
        let client = self.client().map_err(|error| unreachable(&error))?;
        match client.request(&self.peer, request, deadline).await {
            Ok(response) => Ok(response),
            Err(CallError::Unsent(error)) => Err(unreachable(&error)),
            Err(CallError::Lost(error)) => Err(NetworkError::new(&error).into()),
        }
    }

    async fn pipeline<'s, S>(
        &'s self,
        input: S,
        option: RPCOption,
    ) -> Result<AppendResults<'s>, RpcError>
    where
        S: Stream<Item = AppendRequest> + Send + Unpin + 'static,
    {
        let deadline = within(option.soft_ttl());
        let client = self.client().map_err(|error| unreachable(&error))?;
        let (send, recv) = client
            .open(&self.peer, Lane::Requests, &Request::StreamAppend, deadline)
            .await
            .map_err(|error| unreachable(&error))?;
        let permits = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
        let writer = tokio::spawn(write_appends(send, input, Arc::clone(&permits)));
        let answers = Answers { recv, permits, _writer: AbortOnDrop(writer.abort_handle()) };
        Ok(stream::unfold(Some(answers), move |answers| self.next_answer(answers)).boxed())
    }

    /// Waits for the answer to the oldest append on its way; the first failure is the last item.
    async fn next_answer(
        &self,
        answers: Option<Answers>,
    ) -> Option<(Result<StreamAppendResult, RpcError>, Option<Answers>)> {
        let mut answers = answers?;
        let result = match answers.next().await? {
            Ok(Response::StreamAppend(result)) => Ok(result),
            Ok(other) => Err(unreachable(&other.unfit(&self.peer, "append"))),
            Err(error) => Err(NetworkError::new(&error.context(&self.peer)).into()),
        };
        let more = matches!(result, Ok(Ok(_))).then_some(answers);
        Some((result, more))
    }

    async fn send_snapshot(
        &self,
        vote: Vote,
        snapshot: Snapshot,
        stall: Duration,
    ) -> Result<SnapshotResponse, SendError> {
        let SnapshotData::Outgoing(source) = snapshot.snapshot else {
            return Err(self.lost(Error::internal("a received snapshot is not for sending")));
        };
        let client = self.client().map_err(|error| Unreachable::new(&error))?;
        let outgoing = Outgoing { client, peer: &self.peer, pace: &self.pace, stall };
        let sent = outgoing.send(vote, &snapshot.meta, source).await;
        sent.map_err(|failure| match failure {
            SendFailure::Unwanted(error) => Unreachable::new(&error).into(),
            SendFailure::Lost(error) => {
                self.pace.count_broken_off();
                self.lost(error)
            }
            SendFailure::Source(error) => StreamingError::StorageError(
                StorageError::from_io_error(ErrorSubject::Snapshot(None), ErrorVerb::Read, error),
            ),
        })
    }

    fn lost(&self, error: Error) -> SendError {
        NetworkError::new(&error.context(&self.peer)).into()
    }
}

/// The answers to the appends of one stream, and the task that sends those.
struct Answers {
    recv: RecvStream,
    /// One is taken for each append on its way.
    permits: Arc<Semaphore>,
    _writer: AbortOnDrop,
}

/// Ends a task with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answers {
    /// Returns the next answer, or `None` if the peer has answered everything and ended.
    async fn next(&mut self) -> Option<Result<Response, Error>> {
        let Self { recv, permits, .. } = self;
        let in_flight = || MAX_IN_FLIGHT.saturating_sub(permits.available_permits());
        let mut frame = pin!(read_frame(recv, RESPONSE_LIMIT));
        loop {
            return match timeout(ANSWER_TIMEOUT, frame.as_mut()).await {
                Ok(Ok(Some(frame))) => {
                    permits.add_permits(1);
                    Some(Response::decode(frame).map_err(Error::from))
                }
                Ok(Ok(None)) if in_flight() == 0 => None,
                Ok(Ok(None)) => Some(Err(Error::unavailable(format!(
                    "the stream ended with {} appends unanswered",
                    in_flight()
                )))),
                Ok(Err(error)) => Some(Err(error.into())),
                Err(_) if in_flight() == 0 => continue,
                Err(_) => Some(Err(Error::unavailable("appends are not answered"))),
            };
        }
    }
}

/// Sends appends as they come, no more than may be on their way; ends with its stream.
async fn write_appends<S>(mut send: SendStream, mut input: S, permits: Arc<Semaphore>)
where
    S: Stream<Item = AppendRequest> + Unpin,
{
    while let Some(request) = input.next().await {
        // Never closed: the reader ends this task instead.
        let Ok(permit) = permits.acquire().await else { return };
        permit.forget();
        if let Err(error) = write_frame(&mut send, Request::Append(request).encode()).await {
            tracing::debug!(%error, "an append stream ended");
            // The peer then ends its side, which tells the reader of the answers.
            send.reset(quic::RESET_GIVEN_UP).ok();
            return;
        }
    }
    // Only a stream that was reset cannot be finished, and this one was not.
    send.finish().ok();
}

/// The deadline of what begins now, by the clock that the deadlines of a runtime follow.
pub(super) fn within(time: Duration) -> Instant {
    tokio::time::Instant::now().into_std() + time
}

fn unreachable(error: &Error) -> RpcError {
    Unreachable::new(error).into()
}
