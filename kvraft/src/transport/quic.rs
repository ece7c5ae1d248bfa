//! How kvraft sets QUIC up, so that all nodes of a cluster agree on time-outs, windows, close codes.

use std::sync::Arc;
use std::time::Duration;

use quinn::{
    ConnectionError, ConnectionId, ConnectionIdGenerator, EndpointConfig, IdleTimeout,
    TransportConfig, VarInt,
};
use ring::digest;

use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};

/// A connection without any packet for this long is dead.
const IDLE_TIMEOUT_MS: u32 = 5_000;
/// A quiet connection sends a packet this often, so that only a dead one is idle.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// First guess of the round trip: a local network. A wrong guess costs resent packets, once.
const INITIAL_RTT: Duration = Duration::from_millis(10);
/// Bytes that a peer may send ahead on one stream: two full rounds of appends.
const STREAM_WINDOW: u32 = 16 << 20;
/// Bytes that a peer may send ahead on all its streams.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Bytes that this node keeps for resending to one peer.
const SEND_WINDOW: u64 = 32 << 20;
/// Requests that one peer may have open at a time; it waits beyond.
const MAX_STREAMS: u32 = 1024;

/// The priority of streams that elections and leases wait for: their packets go first.
pub(super) const URGENT: i32 = 1;

/// The node closes, or needs this connection no more.
pub(super) const CLOSE_DONE: VarInt = VarInt::from_u32(0);
/// The peer's identity, cluster or protocol does not fit.
pub(super) const CLOSE_REFUSED: VarInt = VarInt::from_u32(1);
/// The peer is known to have restarted since.
pub(super) const CLOSE_SUPERSEDED: VarInt = VarInt::from_u32(2);
/// The node cannot decide on a peer now, or has no place for it.
pub(super) const CLOSE_UNABLE: VarInt = VarInt::from_u32(4);
/// What was being sent is given up.
pub(super) const RESET_GIVEN_UP: VarInt = VarInt::from_u32(3);

pub(super) fn transport_config() -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .initial_rtt(INITIAL_RTT)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(SEND_WINDOW)
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    Arc::new(config)
}

/// Builds the endpoint's own settings; `reset_key` outlives restarts of the node, so that a peer
/// learns from the first packet it sends to the restarted node that its connection is gone.
pub(super) fn endpoint_config(
    environment: &Environment,
    reset_key: ring::hmac::Key,
) -> Result<EndpointConfig> {
    let mut rng_seed = [0; 32];
    let mut id_seed = [0; 32];
    for seed in [&mut rng_seed, &mut id_seed] {
        environment
            .random
            .fill(seed)
            .map_err(|error| Error::internal("no randomness for QUIC").with_source(error))?;
    }
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config
        .rng_seed(Some(rng_seed))
        .cid_generator(move || Box::new(ConnectionIds { seed: id_seed, count: 0 }));
    Ok(config)
}

const CONNECTION_ID_BYTES: usize = 8;

/// Unpredictable connection ids. quinn's own generator lets no endpoint answer for the ids of the
/// process before it, which is what the reset key is for.
struct ConnectionIds {
    seed: [u8; 32],
    count: u64,
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        self.count += 1;
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.seed);
        context.update(&self.count.to_be_bytes());
        let hash = context.finish();
        ConnectionId::new(hash.as_ref().get(..CONNECTION_ID_BYTES).unwrap_or_default())
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Says why a connection could not be made or broke, and what to do about it.
pub(super) fn connection_error(error: ConnectionError) -> Error {
    /// QUIC carries a TLS alert as 0x100 and its number.
    const ALERTS: std::ops::Range<u64> = 0x100..0x200;
    /// The alert of a peer that speaks another application's protocol.
    const NO_APPLICATION_PROTOCOL: u64 = 0x178;
    let alert = match &error {
        ConnectionError::TransportError(error) => Some(u64::from(error.code)),
        ConnectionError::ConnectionClosed(close) => Some(u64::from(close.error_code)),
        ConnectionError::VersionMismatch
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => None,
    };
    match (alert, &error) {
        (Some(NO_APPLICATION_PROTOCOL), _) => {
            // Not a refusal: whoever answers has not shown that he may speak for the cluster.
            Error::unavailable("the peer speaks no kvraft protocol of this release")
                .with_source(error)
        }
        (Some(alert), _) if ALERTS.contains(&alert) => Error::new(
            ErrorKind::Unauthorized,
            "TLS between the nodes failed: both need the same cluster secret, or certificates of \
             the same CA",
        )
        .with_source(error),
        (_, ConnectionError::ApplicationClosed(close)) if close.error_code == CLOSE_REFUSED => {
            Error::refused(format!("the peer refused: {}", String::from_utf8_lossy(&close.reason)))
        }
        (_, ConnectionError::ApplicationClosed(close)) if close.error_code == CLOSE_UNABLE => {
            let reason = String::from_utf8_lossy(&close.reason);
            Error::unavailable(format!("the peer cannot take this node in now: {reason}"))
        }
        (_, ConnectionError::TimedOut) => Error::unavailable("the peer does not answer"),
        (_, ConnectionError::LocallyClosed) => Error::unavailable("the connection was closed here"),
        _ => Error::unavailable("the connection broke").with_source(error),
    }
}
