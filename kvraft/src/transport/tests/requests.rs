//! Requests between two nodes, and what goes wrong with them.

use super::super::frame::{Frame, expect_frame, frame};
use super::super::{kind, quic, secret};
use super::*;
use crate::error::ErrorKind;

/// Dials a node as somebody who holds the secret but speaks as he likes.
async fn raw_connection(node: &Node, security: &Security) -> quinn::Connection {
    let clock = Environment::default().clock;
    let config = Credentials::load(security, clock).unwrap().known().client;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = node.transport.local_addr();
    endpoint.connect_with(config, address, secret::NODE_NAME).unwrap().await.unwrap()
}

async fn answer_to_hello(connection: &quinn::Connection, hello: &Hello) -> Result<Frame> {
    let (mut send, mut recv) = connection.open_bi().await.map_err(quic::connection_error)?;
    send.write_all(&hello.encode()).await.unwrap();
    Ok(expect_frame(&mut recv, kind::HELLO_LIMIT).await?)
}

pub(super) async fn greeted_connection(
    node: &Node,
    security: &Security,
    hello: &Hello,
) -> quinn::Connection {
    let connection = raw_connection(node, security).await;
    Hello::decode(answer_to_hello(&connection, hello).await.unwrap()).unwrap();
    connection
}

/// Sends bytes on a stream of their own and returns the answer.
pub(super) async fn answer_to(connection: &quinn::Connection, bytes: &[u8]) -> Response {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    Response::decode(expect_frame(&mut recv, kind::RESPONSE_LIMIT).await.unwrap()).unwrap()
}

pub(super) fn refused(response: Response) -> Error {
    let Response::Failed(failure) = response else {
        panic!("expected a failure, got {response:?}");
    };
    failure.into()
}

#[tokio::test]
async fn a_request_is_answered_over_one_reused_connection() {
    let (a, b) = two(&secrets(&[1]));
    for _ in 0..3 {
        assert!(matches!(a.ask(&b).await, Ok(Response::ReadIndex(1))));
    }
    assert_eq!(a.transport.0.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn many_requests_at_once_share_one_dial() {
    let (a, b) = two(&secrets(&[1]));
    let asked = futures_util::future::join_all((0..500).map(|_| a.ask(&b))).await;
    assert!(asked.iter().all(Result::is_ok), "{asked:?}");
    assert_eq!(a.transport.0.endpoint.open_connections(), 1);
}

#[tokio::test]
async fn a_node_says_who_it_is_to_one_that_knows_only_its_address() {
    let (a, b) = two(&secrets(&[1]));
    let address = b.transport.local_addr().to_string();
    let hello = a.transport.hello_of(&address, deadline()).await.unwrap();
    assert_eq!(hello, b.fake.hello);
}

#[tokio::test]
async fn a_dial_that_fails_leaves_the_request_unsent() {
    let a = Node::start("a", 1, &secrets(&[1]));
    // Bound, so that nobody else answers there, and never read.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = Peer {
        node_id: Some(2),
        name: "b".into(),
        address: silent.local_addr().unwrap().to_string(),
    };
    let request = Request::ReadIndex { timeout_ms: 1 };
    let error = unsent(a.transport.request(&peer, request.clone(), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("node b at 127.0.0.1"), "{error}");

    let nowhere = Peer { address: "no.such.host.invalid:1".into(), ..peer };
    let error = unsent(a.transport.request(&nowhere, request, deadline()).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_lost() {
    let (a, b) = two(&secrets(&[1]));
    a.ask(&b).await.unwrap();
    let request = Request::Propose { origin: None, command: "x".into(), timeout_ms: 1 };
    let error = lost(a.transport.request(&b.peer(), request.clone(), soon()).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    let peer = b.peer();
    let asked = a.transport.request(&peer, request, deadline());
    let (asked, ()) = tokio::join!(asked, async {
        // The request has arrived once a later one is answered.
        a.ask(&b).await.unwrap();
        b.transport.close(deadline()).await;
    });
    lost(asked);
}

#[tokio::test]
async fn a_request_over_the_bound_is_not_even_sent() {
    let (a, b) = two(&secrets(&[1]));
    let command = vec![0; 81 << 20].into();
    let request = Request::Propose { origin: None, command, timeout_ms: 1 };
    let error = unsent(a.transport.request(&b.peer(), request, deadline()).await);
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[tokio::test]
async fn another_node_at_a_reused_address_is_refused_with_both_ids() {
    let (a, b) = two(&secrets(&[1]));
    let stale = Peer { node_id: Some(0xdead), ..b.peer() };
    let request = Request::ReadIndex { timeout_ms: 1 };
    let error = unsent(a.transport.request(&stale, request, deadline()).await);
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.to_string();
    assert!(text.contains("000000000000dead") && text.contains("0000000000000002"), "{text}");
}

#[tokio::test]
async fn a_node_that_does_not_admit_its_peer_says_why() {
    let a = Node::start("a", 1, &secrets(&[1]));
    let stranger = Hello { cluster_id: Some(1), ..hello("x", 9) };
    let x = Node::of(Fake::new(stranger), &secrets(&[1]));
    let error = unsent(x.ask(&a).await);
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("x is of another cluster"), "{error}");
}

#[tokio::test]
async fn a_node_that_cannot_decide_on_a_peer_now_does_not_refuse_it() {
    let a = Node::start("a", 1, &secrets(&[1]));
    let sick = Fake { fails_to_admit: true, ..Fake::new(hello("b", 2)) };
    let b = Node::of(sick, &secrets(&[1]));
    let error = unsent(a.ask(&b).await);
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("its disk failed"), "{error}");
}

#[tokio::test]
async fn a_node_of_another_protocol_is_refused_in_words() {
    let a = Node::start("a", 1, &secrets(&[1]));
    let newest = PROTOCOLS.newest;
    let protocols = Protocols { oldest: newest + 7, newest: newest + 8 };
    let newer = Node::of(Fake::new(Hello { protocols, ..hello("n", 9) }), &secrets(&[1]));
    for error in [unsent(newer.ask(&a).await), unsent(a.ask(&newer).await)] {
        assert_eq!(error.kind(), ErrorKind::Refused);
        let text = error.to_string();
        for range in [protocols, PROTOCOLS] {
            assert!(text.contains(&range.to_string()), "{text}");
        }
    }
    for (asks, asked) in [(&newer, &a), (&a, &newer)] {
        let address = asked.transport.local_addr().to_string();
        let unmet = asks.transport.hello_of(&address, deadline()).await.unwrap_err();
        assert!(matches!(unmet, Unmet::Refused(Reason::Protocol, _)), "{unmet:?}");
    }
}

#[tokio::test]
async fn a_client_may_propose_but_takes_no_part_in_consensus() {
    let security = secrets(&[1]);
    let a = Node::start("a", 1, &security);
    let client = Hello { role: HelloRole::Client, ..hello("c", 9) };
    let connection = greeted_connection(&a, &security, &client).await;
    let allowed = answer_to(&connection, &Request::ReadIndex { timeout_ms: 1 }.encode()).await;
    assert!(matches!(allowed, Response::ReadIndex(9)));
    let error = refused(answer_to(&connection, &Request::StreamAppend.encode()).await);
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn garbage_packets_do_not_hurt_the_server() {
    let (a, b) = two(&secrets(&[1]));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for len in [1, 20, 1200, 1400] {
        for first in [0x00, 0x40, 0xc0, 0xff] {
            let mut packet = vec![0x5a; len];
            packet[0] = first;
            socket.send_to(&packet, b.transport.local_addr()).unwrap();
        }
    }
    a.ask(&b).await.unwrap();
}

#[tokio::test]
async fn garbage_frames_are_answered_in_words_and_hurt_nobody() {
    let security = secrets(&[1]);
    let (a, b) = two(&security);
    let connection = greeted_connection(&b, &security, &hello("x", 9)).await;
    let oversized = refused(answer_to(&connection, &[0xff, 0xff, 0xff, 0xff, 17]).await);
    assert!(oversized.to_string().contains("claims 4294967295 bytes"), "{oversized}");
    let no_request = refused(answer_to(&connection, &Response::ClaimGranted.encode()).await);
    assert!(no_request.to_string().contains("no request"), "{no_request}");
    let again = answer_to(&connection, &Request::ReadIndex { timeout_ms: 1 }.encode()).await;
    assert!(matches!(again, Response::ReadIndex(9)));
    a.ask(&b).await.unwrap();
}

#[tokio::test]
async fn before_the_hello_nothing_else_is_heard() {
    let security = secrets(&[1]);
    let b = Node::start("b", 2, &security);
    let large = frame(20, 1 << 20, |out| out.extend_from_slice(&[0; 1 << 20]));
    for bytes in [Request::Peers.encode(), large] {
        let connection = raw_connection(&b, &security).await;
        let (mut send, _recv) = connection.open_bi().await.unwrap();
        // The node may close before it has taken everything.
        send.write_all(&bytes).await.ok();
        connection.closed().await;
    }
}

#[tokio::test]
async fn a_peer_that_restarts_on_its_port_is_reached_long_before_its_old_connection_times_out() {
    let security = secrets(&[1]);
    let a = Node::start("a", 1, &security);
    let first_life =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let b = first_life
        .spawn({
            let security = security.clone();
            async move { Node::start("b", 2, &security) }
        })
        .await
        .unwrap();
    let (peer, address) = (b.peer(), b.transport.local_addr());
    a.ask(&b).await.unwrap();
    // As if killed: nothing is closed, nobody is told.
    let Node { transport, .. } = b;
    first_life.spawn(async move {
        let _kept = transport;
        std::future::pending::<()>().await;
    });
    tokio::task::spawn_blocking(move || drop(first_life)).await.unwrap();

    let mut reborn = hello("b", 2);
    reborn.identity.nonce = 6;
    let _b = eventually(PATIENCE, || async {
        Node::try_start(Fake::new(reborn.clone()), &security, address)
    })
    .await;
    eventually(Duration::from_secs(3), || async {
        let request = Request::ReadIndex { timeout_ms: 1 };
        a.transport.request(&peer, request, soon()).await
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_dials_in_anew_makes_its_old_connection_dead() {
    let security = secrets(&[1]);
    let (a, b) = two(&security);
    a.ask(&b).await.unwrap();
    let mut reborn = hello("b", 2);
    reborn.identity.nonce = 6;
    let connection = greeted_connection(&a, &security, &reborn).await;
    eventually(PATIENCE, || async {
        match b.transport.0.endpoint.open_connections() {
            0 => Ok(()),
            open => Err(open),
        }
    })
    .await;
    a.ask(&b).await.unwrap();
    connection.close(quic::CLOSE_DONE, b"");
}

#[tokio::test]
async fn a_client_does_not_end_the_connection_to_the_member_that_it_says_it_is() {
    let security = secrets(&[1]);
    let (a, b) = two(&security);
    a.ask(&b).await.unwrap();
    let mut client = Hello { role: HelloRole::Client, ..hello("b", 2) };
    client.identity.nonce = 6;
    let connection = greeted_connection(&a, &security, &client).await;
    // Its first request is answered behind the hello.
    answer_to(&connection, &Request::ReadIndex { timeout_ms: 1 }.encode()).await;
    a.ask(&b).await.unwrap();
    assert_eq!(a.transport.0.endpoint.stats().outgoing_handshakes, 1, "it dialed once");
}

#[tokio::test]
async fn clients_leave_connections_to_the_members() {
    let security = secrets(&[1]);
    let limits = Limits { connections: 1, unread_kib: 1 };
    let a = Node::within(limits, &security);
    let b = Node::start("b", 2, &security);
    let client = Hello { role: HelloRole::Client, ..hello("c", 9) };
    let first = greeted_connection(&a, &security, &client).await;
    let second = raw_connection(&a, &security).await;
    let error = answer_to_hello(&second, &client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("another member"), "{error}");
    b.ask(&a).await.unwrap();
    first.close(quic::CLOSE_DONE, b"");
    eventually(PATIENCE, || async {
        let third = raw_connection(&a, &security).await;
        Ok::<_, Error>(Hello::decode(answer_to_hello(&third, &client).await?)?)
    })
    .await;
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded() {
    let security = secrets(&[1]);
    // Room for two of the answers, beside what the connection itself holds.
    let limits = Limits { connections: 1, unread_kib: 20 << 10 };
    let a = Node::within(limits, &security);
    let client = Hello { role: HelloRole::Client, ..hello("c", 9) };
    let connection = greeted_connection(&a, &security, &client).await;
    let range = crate::options::KeyRange::all();
    let page = Query::Page { range, options: crate::options::ScanOptions::new() };
    let mut unread = Vec::new();
    for _ in 0..32 {
        let (mut send, recv) = connection.open_bi().await.unwrap();
        send.write_all(&Request::Query(page.clone()).encode()).await.unwrap();
        unread.push((send, recv));
    }
    let turned_away = |response| matches!(response, Response::Failed(_));
    // Who was turned away is told at once, beside those whose answers are still to be read.
    let told = unread.into_iter().map(|(send, mut recv)| async move {
        let frame = expect_frame(&mut recv, kind::RESPONSE_LIMIT).await.unwrap();
        drop(send);
        Response::decode(frame).unwrap()
    });
    let told: Vec<_> = futures_util::future::join_all(told).await;
    let (failed, read): (Vec<_>, Vec<_>) = told.into_iter().partition(|r| turned_away(r.clone()));
    assert!(!failed.is_empty() && !read.is_empty(), "{} failed", failed.len());
    let error = refused(failed[0].clone());
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    // The room comes back.
    let again = answer_to(&connection, &Request::Query(page).encode()).await;
    assert!(matches!(again, Response::Answer(_)));
}

#[tokio::test]
async fn a_taken_port_is_refused_with_its_address() {
    let security = secrets(&[1]);
    let a = Node::start("a", 1, &security);
    let taken = a.transport.local_addr();
    let Err(error) = Node::try_start(Fake::new(hello("b", 2)), &security, taken) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}
