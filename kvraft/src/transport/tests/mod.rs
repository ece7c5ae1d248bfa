//! `Node` is a transport on loopback with a made-up node behind it.

mod exchange;
mod frames;
mod fuzz;
mod network;
mod requests;
mod security;
mod versions;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::error::Error;
use crate::identity::Identity;
use crate::options::{Changes, LeaseId, LeaseInfo};
use crate::raft::Member;
use crate::raft::{
    AppendRequest, AppendResponse, Entry, LogId, SnapshotMeta, SnapshotResponse, StreamAppendError,
    StreamAppendResult, Vote, VoteResponse,
};

use crate::versions::{PROTOCOLS, Protocols};

/// Long enough for the slowest machine, never waited for when things work.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(2);

fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(300)
}

/// Tries until it works, and fails with the last error when patience ends.
async fn eventually<T, E, F>(patience: Duration, mut attempt: impl FnMut() -> F) -> T
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    let end = Instant::now() + patience;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => assert!(Instant::now() < end, "still failing: {error:?}"),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn secret(byte: u8) -> Vec<u8> {
    vec![byte; 32]
}

fn secrets(bytes: &[u8]) -> Security {
    Security::Secrets(bytes.iter().map(|byte| secret(*byte)).collect())
}

fn hello(name: &str, node_id: u64) -> Hello {
    Hello {
        protocols: PROTOCOLS,
        role: HelloRole::Member,
        cluster_id: Some(77),
        identity: Identity { name: name.to_owned(), node_id, start: 1, nonce: 5 },
        record: Member::default(),
        initialised: true,
        format_level: 1,
    }
}

/// What a node would do, in the simplest form that a test can look at.
struct Fake {
    hello: Hello,
    /// Appends that came in on streams.
    appended: AtomicUsize,
    /// Parts that were made of answers that come in parts.
    parts: AtomicUsize,
    /// One permit lets one append answer out.
    gate: Semaphore,
    chunks: Mutex<Vec<Result<Bytes, Error>>>,
    /// Whether its disk has failed, so that it can admit nobody.
    fails_to_admit: bool,
    /// Whether snapshots are taken at all.
    takes_chunks: bool,
    /// So many bytes of the snapshot are there, of a peer that can say it.
    holds: Option<u64>,
}

impl Fake {
    fn new(hello: Hello) -> Self {
        Self {
            hello,
            appended: AtomicUsize::new(0),
            parts: AtomicUsize::new(0),
            gate: Semaphore::new(0),
            chunks: Mutex::default(),
            fails_to_admit: false,
            takes_chunks: true,
            holds: None,
        }
    }
}

impl Greeter for Arc<Fake> {
    fn hello(&self) -> Hello {
        self.hello.clone()
    }

    fn admit<'a>(&'a self, peer: &'a Hello) -> BoxFuture<'a, Result<(), Unmet>> {
        async move {
            if self.fails_to_admit {
                return Err(Error::storage("its disk failed").into());
            }
            if peer.cluster_id == self.hello.cluster_id {
                return Ok(());
            }
            let error = Error::refused(format!("{} is of another cluster", peer.identity.name));
            Err(Unmet::Refused(Reason::OtherCluster, error))
        }
        .boxed()
    }
}

impl Handler for Arc<Fake> {
    fn handle(&self, from: &Hello, request: Request) -> BoxFuture<'static, Response> {
        let id = from.identity.node_id;
        async move {
            match request {
                // Never answered: the answer is lost.
                Request::Propose { .. } => std::future::pending().await,
                Request::ReadIndex { .. } | Request::LeaseIndex { .. } => Response::ReadIndex(id),
                Request::Vote(request) | Request::PreVote(request) => {
                    Response::Vote(VoteResponse::new(request.vote, None, true))
                }
                Request::Append(_) => Response::Append(AppendResponse::Success),
                Request::TransferLeader(_) => Response::TransferLeader(Ok(())),
                Request::Claim(_) => Response::ClaimGranted,
                Request::Peers => Response::Peers(Peers::default()),
                Request::Query(query) => Response::Answer(answer(&query)),
                Request::Join { .. } => Response::Joined(1),
                Request::Change { .. } => Response::Changed,
                Request::StreamAppend | Request::Snapshot { .. } => {
                    let error = Error::internal("a stream is not a request");
                    Response::Failed(Failure::from(&error))
                }
            }
        }
        .boxed()
    }

    fn parts(&self, query: Query) -> BoxStream<'static, Result<Answer>> {
        let upto = |upto| Ok(Answer::Changes(Changes { revisions: Vec::new(), upto }));
        match query {
            Query::Watch { from: Some(from), .. } => {
                let fake = Self::clone(self);
                let made = (from..).inspect(move |_| {
                    fake.parts.fetch_add(1, Ordering::SeqCst);
                });
                stream::iter(made.map(upto)).boxed()
            }
            // Goes on when the asking side has gone.
            Query::Watch { from: None, .. } => {
                let fake = Self::clone(self);
                let gone = OnDrop(move || {
                    fake.parts.fetch_add(100, Ordering::SeqCst);
                });
                let quiet = stream::once(async move {
                    let _gone = gone;
                    std::future::pending().await
                });
                stream::iter([upto(0)]).chain(quiet).boxed()
            }
            Query::Get { .. }
            | Query::Page { .. }
            | Query::Count { .. }
            | Query::Lease { .. }
            | Query::AwaitLock { .. }
            | Query::StateHash { .. }
            | Query::Backup { .. }
            | Query::Refill { .. }
            | Query::Scan { .. } => {
                stream::iter([Err(Error::overloaded("no parts today"))]).boxed()
            }
        }
    }

    fn stream_append(
        &self,
        _from: &Hello,
        mut requests: BoxStream<'static, AppendRequest>,
    ) -> BoxStream<'static, Result<StreamAppendResult>> {
        let (queue, answers) = mpsc::channel(256);
        let fake = Self::clone(self);
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                fake.appended.fetch_add(1, Ordering::SeqCst);
                queue.send(request).await.ok();
            }
        });
        stream::unfold((answers, Self::clone(self)), |(mut answers, fake)| async move {
            let request = answers.recv().await?;
            fake.gate.acquire().await.unwrap().forget();
            let result = match request.prev_log_id {
                Some(conflict) if conflict.index() == 666 => {
                    Err(StreamAppendError::Conflict(conflict))
                }
                _ => Ok(request.leader_commit),
            };
            Some((Ok(result), (answers, fake)))
        })
        .boxed()
    }

    fn install_snapshot(
        &self,
        _from: &Hello,
        snapshot: Incoming,
    ) -> BoxFuture<'static, Result<SnapshotResponse>> {
        let fake = Self::clone(self);
        async move {
            let Incoming { vote, held, mut chunks, .. } = snapshot;
            if !fake.takes_chunks {
                return std::future::pending().await;
            }
            if let Some(held) = held {
                match fake.holds {
                    Some(bytes) => held.send(bytes).unwrap(),
                    None => return Err(Error::refused("frame 39 is unknown to this release")),
                }
            }
            while let Some(chunk) = chunks.next().await {
                let failed = chunk.as_ref().err().cloned();
                fake.chunks.lock().unwrap().push(chunk);
                if let Some(error) = failed {
                    return Err(error);
                }
            }
            Ok(SnapshotResponse::new(vote))
        }
        .boxed()
    }
}

fn answer(query: &Query) -> Answer {
    if matches!(query, Query::Page { .. }) {
        // Of 8 MiB.
        let value = Bytes::from(vec![0; 8 << 20]);
        let found = crate::command::Found { value, revision: 1, created: 1, lease: 0 };
        let entries = vec![crate::options::Entry::new("k".into(), found)];
        return Answer::Page(crate::options::Page { revision: 1, more: false, entries });
    }
    if !matches!(query, Query::Count { .. }) {
        return Answer::Entry(None);
    }
    // Too long for its frame.
    Answer::Lease(LeaseInfo {
        id: LeaseId::of(1).unwrap(),
        ttl: Duration::ZERO,
        remaining: Duration::ZERO,
        keys: vec![Bytes::from(vec![0; 1 << 20]); 81],
    })
}

/// Runs something when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

struct Node {
    transport: Transport,
    fake: Arc<Fake>,
}

impl Node {
    fn try_start(fake: Fake, security: &Security, listen: SocketAddr) -> Result<Self> {
        let fake = Arc::new(fake);
        let options = TransportOptions { listen, security: security.clone() };
        let handler = Arc::new(Arc::clone(&fake));
        let transport = Transport::start(&options, &Environment::default(), handler)?;
        Ok(Self { transport, fake })
    }

    /// Starts a node that has this much for clients.
    fn within(limits: Limits, security: &Security) -> Self {
        let fake = Arc::new(Fake::new(hello("a", 1)));
        let listen = "127.0.0.1:0".parse().unwrap();
        let options = TransportOptions { listen, security: security.clone() };
        let handler = Arc::new(Arc::clone(&fake));
        let transport =
            Transport::start_within(limits, &options, &Environment::default(), handler).unwrap();
        Self { transport, fake }
    }

    fn start(name: &str, node_id: u64, security: &Security) -> Self {
        Self::of(Fake::new(hello(name, node_id)), security)
    }

    fn of(fake: Fake, security: &Security) -> Self {
        Self::try_start(fake, security, "127.0.0.1:0".parse().unwrap()).unwrap()
    }

    fn peer(&self) -> Peer {
        Peer {
            node_id: Some(self.fake.hello.identity.node_id),
            name: self.fake.hello.identity.name.clone(),
            address: self.transport.local_addr().to_string(),
        }
    }

    async fn ask(&self, other: &Self) -> Result<Response, CallError> {
        let request = Request::ReadIndex { timeout_ms: 1 };
        self.transport.request(&other.peer(), request, deadline()).await
    }
}

fn two(security: &Security) -> (Node, Node) {
    (Node::start("a", 1, security), Node::start("b", 2, security))
}

fn log_id(index: u64) -> LogId {
    LogId::new_term_index(1, index)
}

/// An entry of term 1: `[1]` is a blank one, `[2, payload…]` a command.
fn entry(index: u64, kind_and_payload: &[u8]) -> Entry {
    let body = [&1_u64.to_be_bytes(), kind_and_payload].concat();
    crate::record::read_entry_body(index, body.into()).unwrap()
}

fn unsent<T: std::fmt::Debug>(result: Result<T, CallError>) -> Error {
    match result {
        Err(CallError::Unsent(error)) => error,
        other => panic!("expected an unsent request, got {other:?}"),
    }
}

fn lost<T: std::fmt::Debug>(result: Result<T, CallError>) -> Error {
    match result {
        Err(CallError::Lost(error)) => error,
        other => panic!("expected a lost answer, got {other:?}"),
    }
}
