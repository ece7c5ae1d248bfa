//! openraft's requests over two transports.

use std::io;

use futures_util::Stream;
use openraft::errors::{RPCError, ReplicationClosed, StreamingError};
use openraft::network::v2::RaftNetworkV2;
use openraft::network::{RPCOption, RaftNetworkFactory};
use tokio::sync::oneshot;

use super::super::network::PeerNetwork;
use super::*;
use crate::raft::{Member, Snapshot, SnapshotData, SnapshotSource, VoteRequest};

fn member(node: &Node) -> Member {
    let peer = node.peer();
    Member { name: peer.name, address: peer.address, ..Member::default() }
}

fn option() -> RPCOption {
    RPCOption::new(PATIENCE)
}

async fn way(from: &Node, to: &Node) -> PeerNetwork {
    paced_way(from, to, &pace(u64::MAX)).await
}

fn pace(bytes_per_second: u64) -> Arc<Pace> {
    Arc::new(Pace::new(bytes_per_second, Environment::default().clock))
}

async fn paced_way(from: &Node, to: &Node, pace: &Arc<Pace>) -> PeerNetwork {
    let mut network = from.transport.network(Arc::clone(pace));
    network.new_client(to.fake.hello.identity.node_id, &member(to)).await
}

fn append(prev: u64, commit: u64) -> AppendRequest {
    AppendRequest {
        vote: Vote::new_committed(1, 1),
        prev_log_id: Some(log_id(prev)),
        entries: vec![entry(prev + 1, &[1])],
        leader_commit: Some(log_id(commit)),
    }
}

fn appends(count: u64) -> impl Stream<Item = AppendRequest> + Send + Unpin + 'static {
    stream::iter((0..count).map(|at| append(at, at)))
}

/// A snapshot of so many chunks, then perhaps a disk error.
struct Chunks {
    left: usize,
    fails: bool,
    is_again: bool,
}

impl SnapshotSource for Chunks {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return if self.fails { Err(io::Error::other("bad sector")) } else { Ok(None) };
        }
        self.left -= 1;
        let byte = u8::try_from(self.left % 251).unwrap();
        Ok(Some(vec![byte; 1 << 20].into()))
    }

    fn is_sent_again(&self) -> bool {
        self.is_again
    }

    fn skip(&mut self, bytes: u64) -> io::Result<bool> {
        let chunks = usize::try_from(bytes >> 20).unwrap();
        let is_there = chunks <= self.left;
        self.left -= chunks.min(self.left);
        Ok(is_there)
    }

    fn settle(&mut self) {}
}

fn snapshot(left: usize, fails: bool) -> Snapshot {
    snapshot_of(Chunks { left, fails, is_again: false })
}

fn snapshot_of(chunks: Chunks) -> Snapshot {
    Snapshot { meta: SnapshotMeta::default(), snapshot: SnapshotData::Outgoing(Box::new(chunks)) }
}

fn never() -> impl Future<Output = ReplicationClosed> + Send + 'static {
    std::future::pending()
}

#[tokio::test]
async fn votes_and_leadership_travel_to_the_peer() {
    let (a, b) = two(&secrets(&[1]));
    let mut b_from_a = way(&a, &b).await;
    let request = VoteRequest::new(Vote::new(2, 1), None);
    assert!(b_from_a.vote(request.clone(), option()).await.unwrap().vote_granted);
    assert!(b_from_a.pre_vote(request, option()).await.unwrap().vote_granted);
    let transfer = crate::raft::TransferRequest::new(Vote::new_committed(1, 1), 2, None);
    assert_eq!(b_from_a.transfer_leader(transfer, option()).await.unwrap(), Ok(()));
}

#[tokio::test]
async fn an_unreachable_peer_grants_no_pre_vote() {
    let a = Node::start("a", 1, &secrets(&[1]));
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let member = Member { address: silent.local_addr().unwrap().to_string(), ..Member::default() };
    let mut nobody = a.transport.network(pace(u64::MAX)).new_client(2, &member).await;
    let request = VoteRequest::new(Vote::new(2, 1), None);
    let option = RPCOption::new(Duration::from_millis(200));
    let error = nobody.pre_vote(request, option).await.unwrap_err();
    assert!(matches!(error, RPCError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_heartbeat_is_answered_on_a_stream_of_its_own() {
    let (a, b) = two(&secrets(&[1]));
    let mut network = a.transport.network(pace(u64::MAX));
    let mut heartbeat = network.new_heartbeat_client(2, &member(&b)).await;
    let mut answers = heartbeat.stream_append(appends(1), option()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), Ok(Some(log_id(1))));
    assert!(answers.next().await.is_none());
    // The long-lived stream was not used.
    assert_eq!(b.fake.appended.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn appends_are_answered_in_order_with_many_but_not_too_many_on_their_way() {
    let (a, b) = two(&secrets(&[1]));
    let mut b_from_a = way(&a, &b).await;
    let answers = b_from_a.stream_append(appends(500), option()).await.unwrap();
    let arrived = |expected: usize| {
        let appended = &b.fake.appended;
        eventually(PATIENCE, move || async move {
            match appended.load(Ordering::SeqCst) {
                now if now == expected => Ok(()),
                now => Err(now),
            }
        })
    };
    arrived(64).await;
    b.fake.gate.add_permits(1);
    let mut answers = answers.peekable();
    let mut answers = std::pin::Pin::new(&mut answers);
    assert!(answers.as_mut().peek().await.is_some());
    arrived(65).await;
    b.fake.gate.add_permits(500);
    for at in 0..500 {
        assert_eq!(answers.next().await.unwrap().unwrap(), Ok(Some(log_id(at))));
    }
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_conflict_ends_the_append_stream() {
    let (a, b) = two(&secrets(&[1]));
    b.fake.gate.add_permits(100);
    let mut b_from_a = way(&a, &b).await;
    let requests = [append(1, 1), append(666, 2), append(3, 3)];
    let mut answers = b_from_a.stream_append(stream::iter(requests), option()).await.unwrap();
    assert_eq!(answers.next().await.unwrap().unwrap(), Ok(Some(log_id(1))));
    let conflict = Err(StreamAppendError::Conflict(log_id(666)));
    assert_eq!(answers.next().await.unwrap().unwrap(), conflict);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn an_append_stream_to_a_peer_that_goes_away_ends_in_an_error() {
    let (a, b) = two(&secrets(&[1]));
    let mut b_from_a = way(&a, &b).await;
    let mut answers = b_from_a.stream_append(appends(3), option()).await.unwrap();
    b.transport.close(deadline()).await;
    let error = answers.next().await.unwrap().unwrap_err();
    assert!(matches!(error, RPCError::Network(_)), "{error}");
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_snapshot_arrives_whole_on_a_connection_of_its_own() {
    let (a, b) = two(&secrets(&[1]));
    a.ask(&b).await.unwrap();
    let vote = Vote::new_committed(1, 1);
    let mut b_from_a = way(&a, &b).await;
    let sent = b_from_a.full_snapshot(vote, snapshot(5, false), never(), option()).await.unwrap();
    assert_eq!(sent.vote, vote);
    let chunks = b.fake.chunks.lock().unwrap();
    let first_bytes: Vec<u8> = chunks.iter().map(|chunk| chunk.as_ref().unwrap()[0]).collect();
    assert_eq!(first_bytes, [4, 3, 2, 1, 0]);
    assert_eq!(a.transport.0.endpoint.open_connections(), 2);
}

#[tokio::test]
async fn a_cancelled_snapshot_is_never_taken_for_a_whole_one() {
    let (a, b) = two(&secrets(&[1]));
    let (cancel, cancelled) = oneshot::channel::<()>();
    let cancelled = async move {
        cancelled.await.ok();
        ReplicationClosed::new("enough")
    };
    let mut b_from_a = way(&a, &b).await;
    let vote = Vote::new_committed(1, 1);
    let sending = b_from_a.full_snapshot(vote, snapshot(usize::MAX, false), cancelled, option());
    let cancelling = async {
        eventually(PATIENCE, || async {
            if b.fake.chunks.lock().unwrap().len() > 3 { Ok(()) } else { Err("no chunks") }
        })
        .await;
        cancel.send(()).unwrap();
    };
    let (sent, ()) = tokio::join!(sending, cancelling);
    assert!(matches!(sent, Err(StreamingError::Closed(_))));
    eventually(PATIENCE, || async {
        let chunks = b.fake.chunks.lock().unwrap();
        if chunks.last().is_some_and(Result::is_err) { Ok(()) } else { Err("no error came") }
    })
    .await;
}

#[tokio::test]
async fn a_snapshot_that_the_peer_does_not_take_stalls_out() {
    let lazy = Fake { takes_chunks: false, ..Fake::new(hello("b", 2)) };
    let (a, b) = (Node::start("a", 1, &secrets(&[1])), Node::of(lazy, &secrets(&[1])));
    let mut b_from_a = way(&a, &b).await;
    let vote = Vote::new_committed(1, 1);
    let option = RPCOption::new(Duration::from_millis(800));
    let sent = b_from_a.full_snapshot(vote, snapshot(usize::MAX, false), never(), option).await;
    assert!(matches!(sent, Err(StreamingError::Network(_))), "{sent:?}");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_here_is_this_nodes_storage_error() {
    let (a, b) = two(&secrets(&[1]));
    let mut b_from_a = way(&a, &b).await;
    let vote = Vote::new_committed(1, 1);
    let sent = b_from_a.full_snapshot(vote, snapshot(2, true), never(), option()).await;
    assert!(matches!(sent, Err(StreamingError::StorageError(_))), "{sent:?}");
}

/// Sends five chunks again to a peer that has, or says, what it holds; returns what it then got,
/// and how many bytes were counted.
async fn sent_again(holds: Option<u64>) -> (Result<(), String>, Vec<u8>, u64) {
    sent_again_to(Fake { holds, ..Fake::new(hello("b", 2)) }).await
}

async fn sent_again_to(b: Fake) -> (Result<(), String>, Vec<u8>, u64) {
    let (a, b) = (Node::start("a", 1, &secrets(&[1])), Node::of(b, &secrets(&[1])));
    let pace = pace(u64::MAX);
    let mut b_from_a = paced_way(&a, &b, &pace).await;
    let again = snapshot_of(Chunks { left: 5, fails: false, is_again: true });
    let vote = Vote::new_committed(1, 1);
    let sent = b_from_a.full_snapshot(vote, again, never(), option()).await;
    let chunks = b.fake.chunks.lock().unwrap();
    let firsts = chunks.iter().filter_map(|chunk| Some(chunk.as_ref().ok()?[0])).collect();
    (sent.map(drop).map_err(|error| error.to_string()), firsts, pace.sent())
}

#[tokio::test]
async fn a_snapshot_that_is_sent_again_goes_on_behind_what_the_peer_has() {
    assert_eq!(sent_again(Some(3 << 20)).await, (Ok(()), vec![1, 0], 2 << 20));
    assert_eq!(sent_again(Some(0)).await, (Ok(()), vec![4, 3, 2, 1, 0], 5 << 20));
    assert_eq!(sent_again(Some(5 << 20)).await, (Ok(()), vec![], 0));
}

#[tokio::test]
async fn a_peer_that_cannot_say_what_it_has_gets_the_whole_snapshot() {
    assert_eq!(sent_again(None).await, (Ok(()), vec![4, 3, 2, 1, 0], 5 << 20));
}

#[tokio::test]
async fn a_peer_of_an_earlier_release_gets_the_whole_snapshot_at_once() {
    let protocols = Protocols { oldest: 1, newest: 1 };
    let b = Fake::new(Hello { protocols, ..hello("b", 2) });
    assert_eq!(sent_again_to(b).await, (Ok(()), vec![4, 3, 2, 1, 0], 5 << 20));
}

#[tokio::test]
async fn a_peer_that_claims_more_than_there_is_harms_only_itself() {
    let (sent, firsts, _) = sent_again(Some(6 << 20)).await;
    assert!(sent.unwrap_err().contains("shorter"));
    assert!(firsts.is_empty());
}

#[tokio::test]
async fn a_chunk_that_waits_for_its_moment_longer_than_the_peer_for_a_chunk_does_not_stall() {
    let (a, b) = two(&secrets(&[1]));
    // The second of two chunks leaves 6 s after the first, and a sign of life goes ahead.
    let pace = pace((1 << 20) / 6);
    let mut b_from_a = paced_way(&a, &b, &pace).await;
    let vote = Vote::new_committed(1, 1);
    let option = RPCOption::new(Duration::from_secs(2));
    b_from_a.full_snapshot(vote, snapshot(2, false), never(), option).await.unwrap();
    let chunks = b.fake.chunks.lock().unwrap();
    let lengths: Vec<_> = chunks.iter().map(|chunk| chunk.as_ref().unwrap().len()).collect();
    assert_eq!(lengths, [1 << 20, 0, 1 << 20]);
    assert_eq!((pace.sent(), pace.broken_off()), (2 << 20, 0));
}
