//! Peers that speak garbage, something else, or another version of the protocol.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme, version};

use crate::assert_says;
use crate::process::Process;
use crate::trio::Trio;

/// The name of the protocol inside TLS.
const ALPN: &str = "kvraft/1";
/// The kinds of the two frames with which peers greet each other.
const HELLO: u8 = 1;
const REFUSED: u8 = 2;
/// How much a node may grow under all of the garbage: far less than what the garbage claims.
const MOST_GROWTH_KIB: u64 = 64 << 10;

/// Takes every server for the right one.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Somebody with a QUIC library.
struct Stranger(Endpoint);

impl Stranger {
    fn new() -> Self {
        Self::on("127.0.0.1")
    }

    /// On a host of this address.
    fn on(host: &str) -> Self {
        Self(Endpoint::client(format!("{host}:0").parse().unwrap()).unwrap())
    }

    async fn dial(&self, to: SocketAddr, alpn: &str) -> Result<Connection, ConnectionError> {
        let provider = Arc::new(ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.into()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        self.0.connect_with(config, to, "node.kvraft").unwrap().await
    }

    /// Sends bytes on a stream of a connection of their own, and returns what comes back.
    async fn tell(&self, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let connection = self.dial(to, ALPN).await.unwrap();
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        // The node may close before it has taken everything.
        send.write_all(bytes).await.ok();
        send.finish().ok();
        let answer = tokio::time::timeout(Duration::from_secs(20), recv.read_to_end(1 << 20));
        answer.await.expect("the node lets nobody wait").unwrap_or_default()
    }
}

fn frame(claimed: usize, kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(claimed).unwrap();
    [&len.to_be_bytes(), &[kind][..], body].concat()
}

/// Bytes without meaning, always the same.
fn noise() -> impl Iterator<Item = u8> {
    let dice = |last: &u64| Some(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(7), dice).map(|number: u64| number.to_be_bytes()[0])
}

fn resident_kib(process: &Process) -> u64 {
    let pid = process.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn assert_goes_on(trio: &mut Trio, round: &str) {
    for (n, process) in trio.processes.iter_mut().enumerate() {
        let answer = process.ask(&format!("put {round}{n} v"));
        assert!(answer.starts_with("ok"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_speak_garbage_are_refused_and_the_cluster_goes_on() {
    let mut trio = Trio::start(&[("insecure", "true")]);
    let leader = trio.leader();
    let target = trio.addresses[leader];
    assert_goes_on(&mut trio, "before");
    let before = resident_kib(&trio.processes[leader]);

    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise = noise();
    for n in 0..5000 {
        let mut packet: Vec<u8> = noise.by_ref().take(1 + n * 7 % 1400).collect();
        if n % 2 == 0 {
            // The head of a first packet of QUIC version 1.
            packet.splice(..packet.len().min(5), [0xc3, 0, 0, 0, 1]);
        }
        socket.send_to(&packet, target).unwrap();
    }
    assert_goes_on(&mut trio, "datagrams");

    let stranger = Stranger::new();
    let error = stranger.dial(target, "h3").await.expect_err("another application");
    assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error:?}");

    // Of a protocol that may be right, and then of no role.
    let mut unknown = vec![0, 2, 73];
    unknown.extend(noise.by_ref().take(100));
    let answer = stranger.tell(target, &frame(unknown.len(), HELLO, &unknown)).await;
    assert_eq!(answer[4], REFUSED);
    let text = String::from_utf8_lossy(&answer);
    assert_says(&text, &["role 73 is unknown"]);

    let body: Vec<u8> = noise.by_ref().take(64 << 10).collect();
    for round in 0..60_u8 {
        // Frames of all kinds that claim 4 GiB, that end early, that hold noise.
        let claimed = [u32::MAX as usize, body.len() + 1, body.len()][usize::from(round % 3)];
        stranger.tell(target, &frame(claimed, round, &body)).await;
    }
    assert_goes_on(&mut trio, "frames");
    let grown = resident_kib(&trio.processes[leader]).saturating_sub(before);
    assert!(grown < MOST_GROWTH_KIB, "{grown} KiB");
    stranger.0.close(0_u32.into(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_host_that_greets_by_halves_keeps_no_member_out() {
    let mut trio = Trio::start(&[("insecure", "true")]);
    let leader = trio.leader();
    let follower = (leader + 1) % 3;
    let target = trio.addresses[leader];
    assert_goes_on(&mut trio, "before");

    // Three hundred that shake hands and then say nothing, again as soon as they are let go.
    let flood = Arc::new(Stranger::on("127.0.0.2"));
    let (refused, mut refusals) = tokio::sync::watch::channel(0_u32);
    let mut silent = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let (flood, refused) = (Arc::clone(&flood), refused.clone());
        silent.spawn(async move {
            loop {
                match flood.dial(target, ALPN).await {
                    Ok(connection) => drop(connection.closed().await),
                    Err(_) => refused.send_modify(|refused| *refused += 1),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    refusals.wait_for(|refused| *refused >= 500).await.unwrap();

    let other = Stranger::new();
    for _ in 0..10 {
        other.dial(target, ALPN).await.expect("another host is let in");
    }
    // A member that starts now has to dial the leader for its first write.
    trio.processes[follower].kill();
    trio.processes[follower] = trio.open(follower);
    assert_eq!(trio.processes[follower].ask("ready"), "ok ready");
    assert_goes_on(&mut trio, "meanwhile");
    silent.shutdown().await;
    flood.0.close(0_u32.into(), b"");
}
