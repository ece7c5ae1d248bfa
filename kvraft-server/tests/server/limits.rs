//! What the server bears from clients that are slow, large or many.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::Request;
use hyper::body::{Bytes, Frame};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kvraft_server::demo::client::Failure;
use kvraft_server::demo::stop::Stop;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Servers, call};
use crate::single::PATIENCE;
use crate::wire::{Wire, run};

fn connect(servers: &Servers) -> TcpStream {
    let stream = TcpStream::connect(address(servers)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn address(servers: &Servers) -> String {
    servers.url("").trim_start_matches("http://").to_owned()
}

/// Reads until the other side closes, which it does well or with a reset.
fn read_to_close(mut stream: TcpStream) -> String {
    let mut told = Vec::new();
    if let Err(error) = stream.read_to_end(&mut told) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    String::from_utf8_lossy(&told).into_owned()
}

#[test]
fn a_client_that_does_not_come_to_the_point_is_cut_off() {
    let servers = Servers::start(1, &["--http-head-timeout=300ms"]);
    let silent = connect(&servers);
    let mut half = connect(&servers);
    half.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\nx-one:").unwrap();
    let mut three = connect(&servers);
    three.write_all(b"GET").unwrap();
    let mut done = connect(&servers);
    done.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut preface = connect(&servers);
    preface.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    for (stream, told) in [(silent, ""), (half, ""), (three, ""), (done, "HTTP/1.1 200")] {
        let read = read_to_close(stream);
        assert!(read.starts_with(told), "{read}");
        assert!(!told.is_empty() || !read.contains(" 200 "), "{read}");
    }
    read_to_close(preface);
    // Those who drip, too: each byte comes in time, and the head does not.
    let mut dripping = connect(&servers);
    dripping.write_all(b"GET /status HTTP/1.1\r\nhost: x\r\nx-long: ").unwrap();
    dripping.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let drip = || match (dripping.write_all(b"x"), dripping.read(&mut [0; 64])) {
        (Ok(()), Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(Failure::ForNow("still open".to_owned()))
        }
        _ => Ok(()),
    };
    Stop::default().retry("the end", PATIENCE, drip).unwrap();
}

#[test]
fn a_request_that_waits_is_not_cut_off_as_idle() {
    let servers = Servers::start(1, &["--http-head-timeout=100ms"]);
    let revision = servers.put("/key/k", b"v").json()["revision"].as_u64().unwrap();
    for http2 in [false, true] {
        let path = format!("/key/k?wait=1s&revision={revision}");
        let status = run(async {
            let stream = tokio::net::TcpStream::connect(address(&servers)).await.unwrap();
            let mut wire = Wire::connect(stream, http2).await.unwrap();
            wire.call("GET", &path, "").await.0
        });
        assert_eq!(status, 304, "http2: {http2}");
    }
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let servers = Servers::start(1, &[]);
    let mut stream = connect(&servers);
    let long = "x".repeat(40 << 10);
    let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx-long: {long}\r\n\r\n");
    // The server may close before it has read everything.
    drop(stream.write_all(head.as_bytes()));
    let told = read_to_close(stream);
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 431"), "{told}");
    let status = run(async {
        let stream = tokio::net::TcpStream::connect(address(&servers)).await.unwrap();
        let mut wire = Wire::connect(stream, true).await.unwrap();
        wire.send("GET", &format!("/livez?{long}"), "").await.map(|answer| answer.status().as_u16())
    });
    assert!(!matches!(status, Ok(200)), "{status:?}");
    assert_eq!(servers.get("/livez").status, 200);
}

#[test]
fn a_connection_beyond_the_bound_waits_for_its_turn() {
    let servers = Servers::start(1, &["--http-max-connections=2"]);
    let held: Vec<_> = (0..2).map(|_| asking(&servers)).collect();
    let mut waiting = connect(&servers);
    waiting.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    waiting.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let early = waiting.read(&mut [0; 16]).unwrap_err();
    assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    drop(held);
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(read_to_close(waiting).starts_with("HTTP/1.1 200"));
}

/// A connection that has its place: it was answered once.
fn asking(servers: &Servers) -> TcpStream {
    let ask = || {
        let mut stream = connect(servers);
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        match stream.read(&mut [0; 16]) {
            Ok(1..) => Ok(stream),
            // One of those who waited until the server was ready is still there.
            other => Err(Failure::ForNow(format!("{other:?}"))),
        }
    };
    servers.stop.retry("a place", PATIENCE, ask).unwrap()
}

#[test]
fn a_watch_beyond_the_bound_is_told_to_go_elsewhere() {
    let servers = Servers::start(1, &["--http-max-watches=1"]);
    let first = ureq::get(servers.url("/watch")).call().unwrap();
    let refused = servers.get("/watch");
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert!(refused.detail().contains("http_max_watches"), "{refused:?}");
    let told = String::from_utf8(servers.get("/metrics").body).unwrap();
    assert!(told.contains("\nkvraft_http_watches 1\n"), "{told}");
    drop(first);
    let free = || match ureq::get(servers.url("/watch")).call() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::ForNow(error.to_string())),
    };
    servers.stop.retry("a place", PATIENCE, free).unwrap();
}

#[test]
fn http2_is_spoken_in_clear_text_with_many_requests_on_one_connection() {
    let servers = Servers::start(1, &[]);
    run(async {
        let stream = tokio::net::TcpStream::connect(address(&servers)).await.unwrap();
        let mut wire = Wire::connect(stream, true).await.unwrap();
        assert_eq!(wire.call("PUT", "/key/a%2Fb", "v").await.0, 201);
        // A request that waits holds nobody up.
        let mut waiting = wire.send("GET", "/watch?prefix=a", "").await.unwrap();
        assert_eq!(wire.call("GET", "/key/a%2Fb?raw", "").await, (200, "v".into()));
        assert_eq!(wire.call("PUT", "/key/a%2Fb", "w").await.0, 200);
        let event = waiting.body_mut().frame().await.unwrap().unwrap();
        let event = event.into_data().unwrap();
        assert!(event.starts_with(b"id: "), "{event:?}");
        assert_eq!(wire.call("GET", "/nothing", "").await.0, 404);
    });
}

#[test]
fn large_values_go_in_and_out_whole_in_both_versions() {
    let servers = Servers::start(1, &["--max-value-bytes=8MiB"]);
    let value = "0123456789abcdef".repeat(5 << 16);
    run(async {
        for http2 in [false, true] {
            let stream = tokio::net::TcpStream::connect(address(&servers)).await.unwrap();
            let mut wire = Wire::connect(stream, http2).await.unwrap();
            let path = format!("/key/{http2}");
            assert_eq!(wire.call("PUT", &path, &value).await.0, 201);
            let (status, read) = wire.call("GET", &format!("{path}?raw"), "").await;
            assert_eq!((status, read.len()), (200, value.len()));
            assert!(read == value);
            let (_, document) = wire.call("GET", &path, "").await;
            let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
            assert!(document["body"] == value.as_str());
        }
    });
    let head = call("HEAD", &servers.url("/key/true?raw"), &[], None);
    assert_eq!(head.header("content-length"), value.len().to_string());
}

#[test]
fn a_server_that_stops_lets_a_request_of_http2_finish() {
    let servers = Servers::start(1, &["--shutdown-grace=60s"]);
    run(async {
        let stream = tokio::net::TcpStream::connect(address(&servers)).await.unwrap();
        let (mut client, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(async move { drop(connection.await) });
        let (mut theirs, ours) = tokio::io::duplex(64);
        let body = StreamBody::new(futures_util::stream::unfold(ours, |mut ours| async {
            let mut chunk = [0; 8];
            let read = ours.read(&mut chunk).await.unwrap();
            let frame = Frame::data(Bytes::copy_from_slice(&chunk[..read]));
            (read > 0).then_some((Ok::<_, std::io::Error>(frame), ours))
        }));
        let body = body.boxed_unsync();
        let put = Request::put("http://localhost/key/k").body(body).unwrap();
        let answer = tokio::spawn(client.send_request(put));
        theirs.write_all(b"va").await.unwrap();
        // Another one, so that the server has seen the first.
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let status = Request::get("http://localhost/livez").body(empty).unwrap();
        assert_eq!(client.send_request(status).await.unwrap().status(), 200);
        crate::single::signal("TERM", servers.cluster.nodes()[0].pid().unwrap());
        let closed = || match TcpStream::connect(address(&servers)) {
            Ok(_) => Err(Failure::ForNow("it accepts".to_owned())),
            Err(_) => Ok(()),
        };
        Stop::default().retry("close", PATIENCE, closed).unwrap();
        theirs.write_all(b"lue").await.unwrap();
        drop(theirs);
        assert_eq!(answer.await.unwrap().unwrap().status(), 201);
    });
}
