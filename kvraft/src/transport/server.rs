//! `Server` is the accepting side: it lets peers in and hands their requests to the `Handler`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::client::Client;
use super::credentials::Credentials;
use super::failure::Failure;
use super::frame::{Frame, check_known, check_len, expect_frame, read_frame, write_frame};
use super::greeting::{Hello, HelloRole, Reason, Refusal, Unmet};
use super::handler::{Handler, Incoming};
use super::kind::{self, HELLO_LIMIT, REQUEST_LIMIT};
use super::message::{Request, Response, SnapshotPart};
use super::places::{Greeting, Greetings, MAX_CONNECTIONS, Places};
use super::query::Answer;
use super::quic;
use crate::error::{Error, Result};
use crate::raft::{AppendRequest, SnapshotResponse};

/// Handshake and hello of an honest peer take a few round trips and one durable write.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a refused peer gets to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the bytes of a request, or the next chunk of a snapshot, may take to come.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that was let in, and what is spoken with it.
struct Guest {
    hello: Hello,
    protocol: u16,
    /// The place of a client.
    _place: Option<OwnedSemaphorePermit>,
}

/// What all connections share. Cheap to clone.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) endpoint: Endpoint,
    pub(super) credentials: Credentials,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) client: Arc<Client>,
    pub(super) places: Places,
}

impl Server {
    /// Accepts until the endpoint closes; what it started ends with it.
    pub(super) async fn run(self) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let greetings = Greetings::new();
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => {
                    let Some(incoming) = incoming else { break };
                    let Some(incoming) = prove_address(incoming) else { continue };
                    let greeting = greetings.take(incoming.remote_address().ip());
                    match (Arc::clone(&connections).try_acquire_owned(), greeting) {
                        (Ok(connection), Some(greeting)) => {
                            let server = self.clone();
                            tasks.spawn(async move {
                                server.serve(incoming, greeting).await;
                                drop(connection);
                            });
                        }
                        (Err(_), _) | (_, None) => incoming.refuse(),
                    }
                }
                Some(_) = tasks.join_next() => {}
            }
        }
    }

    async fn serve(self, incoming: quinn::Incoming, greeting: Greeting) {
        let remote = incoming.remote_address();
        let greeted = timeout(GREETING_TIMEOUT, self.greet(incoming)).await;
        drop(greeting);
        let (connection, guest) = match greeted {
            Ok(Ok((connection, guest))) => (connection, Arc::new(guest)),
            Ok(Err(error)) => {
                tracing::warn!(%remote, %error, "refused a peer");
                return;
            }
            Err(_) => {
                tracing::debug!(%remote, "a peer did not say who it is in time");
                return;
            }
        };
        // The word of a client on who it is was checked by nobody, and nobody dials it.
        if guest.hello.role == HelloRole::Member {
            self.client.peer_is_up(&guest.hello);
        }
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                stream = connection.accept_bi() => match stream {
                    Ok((send, recv)) => {
                        let (server, guest) = (self.clone(), Arc::clone(&guest));
                        streams.spawn(async move { server.answer(&guest, send, recv).await });
                    }
                    Err(error) => {
                        let peer = &guest.hello.identity.name;
                        tracing::debug!(%peer, %error, "a peer is gone");
                        return;
                    }
                },
                Some(_) = streams.join_next() => {}
            }
        }
    }

    /// Shakes hands and exchanges hellos; a peer that does not fit is told why.
    async fn greet(&self, incoming: quinn::Incoming) -> Result<(Connection, Guest)> {
        let config = self.credentials.current().await?.server;
        let connection = incoming
            .accept_with(config)
            .map_err(quic::connection_error)?
            .await
            .map_err(quic::connection_error)?;
        let (mut send, mut recv) = connection.accept_bi().await.map_err(quic::connection_error)?;
        let frame = expect_frame(&mut recv, HELLO_LIMIT).await?;
        match self.admit(frame).await {
            Ok(guest) => {
                write_frame(&mut send, self.handler.hello().encode()).await?;
                finish(&mut send);
                Ok((connection, guest))
            }
            // This node cannot say now; that is no word on the peer, who may try again.
            Err(Unmet::Failed(error)) => {
                connection.close(quic::CLOSE_UNABLE, error.to_string().as_bytes());
                Err(error)
            }
            Err(Unmet::Refused(reason, error)) => {
                let refusal = Refusal { reason, text: error.to_string() };
                write_frame(&mut send, refusal.encode()).await?;
                finish(&mut send);
                // Closing at once could overtake the refusal. Whether it was read does not matter.
                timeout(REFUSAL_TIMEOUT, send.stopped()).await.ok();
                connection.close(quic::CLOSE_REFUSED, refusal.text.as_bytes());
                Err(error)
            }
        }
    }

    /// Decides on who sent this hello.
    async fn admit(&self, frame: Frame) -> Result<Guest, Unmet> {
        let hello = Hello::decode(frame)
            .map_err(|error| Unmet::Refused(Reason::Other, Error::refused(error.to_string())))?;
        let protocol = self.handler.hello().agree(&hello)?;
        self.handler.admit(&hello).await?;
        let place = self.places.take(&hello)?;
        Ok(Guest { hello, protocol, _place: place })
    }

    async fn answer(&self, guest: &Guest, mut send: SendStream, mut recv: RecvStream) {
        let (peer, protocol) = (&guest.hello, guest.protocol);
        let failed = match timeout(STALL_TIMEOUT, read_request(&mut recv)).await {
            Ok(Ok(request)) if peer.role == HelloRole::Client && !request.is_for_clients() => {
                Error::refused("a client has no part in consensus, and no copy of the state")
            }
            Ok(Ok(Request::StreamAppend)) => return self.answer_appends(peer, send, recv).await,
            Ok(Ok(Request::Snapshot { vote, meta, resumes })) => {
                let (held, asked) = oneshot::channel();
                let (held, asked) = (resumes.then_some(held), resumes.then_some(asked));
                let snapshot = Incoming { vote, meta, held, chunks: snapshot_chunks(recv) };
                let installed = self.handler.install_snapshot(peer, snapshot);
                return self.answer_snapshot(protocol, (installed, asked), send).await;
            }
            Ok(Ok(Request::Query(query))) if query.is_exchange() => {
                return self.answer_parts(protocol, self.handler.parts(query), (send, recv)).await;
            }
            Ok(Ok(request)) => {
                if request.is_urgent() {
                    // Only a stream that was reset has no priority to set.
                    send.set_priority(quic::URGENT).ok();
                }
                let response = self.handler.handle(peer, request).await;
                return self.respond(protocol, &mut send, &response).await;
            }
            Ok(Err(error)) => {
                tracing::warn!(peer = %peer.identity.name, %error, "refused a request");
                error
            }
            Err(_) => Error::unavailable("the request did not come in time"),
        };
        self.respond(protocol, &mut send, &Response::Failed(Failure::from(&failed))).await;
    }

    async fn answer_appends(&self, peer: &Hello, mut send: SendStream, recv: RecvStream) {
        let mut results = self.handler.stream_append(peer, append_requests(recv));
        while let Some(result) = results.next().await {
            let (response, last) = match result {
                Ok(result) => (Response::StreamAppend(result), false),
                Err(error) => (Response::Failed(Failure::from(&error)), true),
            };
            if let Err(error) = write_frame(&mut send, response.encode()).await {
                tracing::debug!(%error, "an append stream ended");
                return;
            }
            if last {
                break;
            }
        }
        finish(&mut send);
    }

    /// Says how much is here, to a peer that asks, and in the end what came of the snapshot.
    async fn answer_snapshot(
        &self,
        protocol: u16,
        (mut installed, asked): (
            BoxFuture<'static, Result<SnapshotResponse>>,
            Option<oneshot::Receiver<u64>>,
        ),
        mut send: SendStream,
    ) {
        let held = async move { asked?.await.ok() };
        let early = tokio::select! {
            biased;
            Some(bytes) = held => {
                let response = Response::SnapshotHeld(bytes);
                if let Err(error) = self.write_response(protocol, &mut send, &response).await {
                    return tracing::debug!(%error, "a snapshot cannot go on");
                }
                None
            }
            installed = &mut installed => Some(installed),
        };
        let installed = match early {
            Some(installed) => installed,
            None => installed.await,
        };
        let response = match installed {
            Ok(response) => Response::SnapshotInstalled(response),
            Err(error) => Response::Failed(Failure::from(&error)),
        };
        self.respond(protocol, &mut send, &response).await;
    }

    async fn respond(&self, protocol: u16, send: &mut SendStream, response: &Response) {
        match self.write_response(protocol, send, response).await {
            Ok(()) => finish(send),
            Err(error) => tracing::debug!(%error, "an answer could not be sent"),
        }
    }

    /// Sends an answer, or why it cannot be sent: it is too long, or the peer would not know it. A
    /// peer that does not read is given up.
    async fn write_response(
        &self,
        protocol: u16,
        send: &mut SendStream,
        response: &Response,
    ) -> Result<()> {
        let mut frame = response.encode();
        let fits = check_len(&frame)
            .map_err(|error| error.context("the answer is too long, ask for less"))
            .and_then(|()| check_known(&frame, protocol));
        if let Err(error) = fits {
            frame = Response::Failed(Failure::from(&error)).encode();
        }
        let mut room = None;
        if matches!(response, Response::Answer(_)) {
            match self.places.room_for(&frame) {
                Ok(held) => room = Some(held),
                Err(error) => frame = Response::Failed(Failure::from(&error)).encode(),
            }
        }
        let written = timeout(STALL_TIMEOUT, write_frame(send, frame)).await;
        drop(room);
        written.unwrap_or_else(|_| Err(Error::unavailable("the peer does not read its answer")))
    }

    /// Sends the first part, and then one for each time that the peer asks.
    async fn answer_parts(
        &self,
        protocol: u16,
        mut parts: BoxStream<'static, Result<Answer>>,
        (mut send, mut recv): (SendStream, RecvStream),
    ) {
        loop {
            let part = tokio::select! {
                part = parts.next() => part,
                // The peer wants no more.
                _ = send.stopped() => return,
            };
            let written = match part {
                Some(Ok(answer)) => {
                    self.write_response(protocol, &mut send, &Response::Answer(answer)).await
                }
                Some(Err(error)) => {
                    let failed = Response::Failed(Failure::from(&error));
                    return self.respond(protocol, &mut send, &failed).await;
                }
                None => return finish(&mut send),
            };
            let asked = match written {
                Ok(()) => read_frame(&mut recv, REQUEST_LIMIT).await.map_err(Error::from),
                Err(error) => Err(error),
            };
            match asked {
                Ok(Some(frame)) if frame.kind == kind::NEXT => {}
                Ok(_) => return,
                Err(error) => return tracing::debug!(%error, "an exchange ended"),
            }
        }
    }
}

/// Lets a peer prove that it gets what is sent to its address, before it costs a handshake.
fn prove_address(incoming: quinn::Incoming) -> Option<quinn::Incoming> {
    if incoming.remote_address_validated() {
        return Some(incoming);
    }
    if let Err(error) = incoming.retry() {
        error.into_incoming().refuse();
    }
    None
}

async fn read_request(recv: &mut RecvStream) -> Result<Request> {
    let frame = expect_frame(recv, REQUEST_LIMIT).await?;
    Request::decode(frame)
        .map_err(|error| Error::refused("the request cannot be understood").with_source(error))
}

/// Ends a stream. Only one that was reset before cannot be, and then nobody waits for its end.
fn finish(send: &mut SendStream) {
    send.finish().ok();
}

/// The appends on a stream, up to its end or the first frame that is none.
fn append_requests(recv: RecvStream) -> BoxStream<'static, AppendRequest> {
    let next = |mut recv: RecvStream| async move {
        let request = match read_frame(&mut recv, REQUEST_LIMIT).await {
            Ok(None) => return None,
            Ok(Some(frame)) => Request::decode(frame).map_err(Error::from),
            Err(error) => Err(error.into()),
        };
        match request {
            Ok(Request::Append(request)) => Some((request, recv)),
            Ok(_) => {
                tracing::warn!("an append stream carried another request");
                None
            }
            Err(error) => {
                tracing::debug!(%error, "an append stream broke");
                None
            }
        }
    };
    stream::unfold(recv, next).boxed()
}

/// The chunks on a stream; an error, then nothing, if it ends before its end frame.
fn snapshot_chunks(recv: RecvStream) -> BoxStream<'static, Result<Bytes>> {
    let next = |recv: Option<RecvStream>| {
        async move {
            let mut recv = recv?;
            let part = match timeout(STALL_TIMEOUT, expect_frame(&mut recv, REQUEST_LIMIT)).await {
                Ok(Ok(frame)) => SnapshotPart::decode(frame).map_err(Error::from),
                Ok(Err(error)) => Err(error.into()),
                Err(_) => Err(Error::unavailable("the snapshot stalled")),
            };
            match part {
                Ok(SnapshotPart::Chunk(chunk)) => Some((Ok(chunk), Some(recv))),
                Ok(SnapshotPart::End) => None,
                Err(error) => Some((Err(error), None)),
            }
        }
        .boxed()
    };
    stream::unfold(Some(recv), next).boxed()
}
