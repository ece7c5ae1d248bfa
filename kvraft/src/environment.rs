//! `Environment` is what a node takes from the world besides its disk: time, chance, names, a socket
//! and which release it is.
//!
//! Production uses the system's. Tests put a lossy network or a virtual clock here, so that the
//! logic needs no hooks for them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use ring::rand::{SecureRandom, SystemRandom};

pub use crate::versions::{Protocols, Versions};

/// A clock that never goes back, and the wall time beside it.
pub trait Clock: Send + Sync + 'static {
    /// Returns the monotonic time; every duration in kvraft is a difference of these.
    fn now(&self) -> Instant;
    /// Returns milliseconds since 1970. For people; nothing is decided by it.
    fn wall_ms(&self) -> u64;
}

/// A source of random numbers.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    /// Fails if the system has no randomness to give.
    fn fill(&self, out: &mut [u8]) -> io::Result<()>;
}

/// Opens the UDP socket under QUIC.
pub trait SocketFactory: Send + Sync + 'static {
    /// Binds `address` (port 0 takes a free one). Called on a thread of a tokio runtime.
    ///
    /// # Errors
    /// Fails if the address cannot be bound.
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>>;
}

/// Finds out what a name stands for.
pub trait Resolver: Send + Sync + 'static {
    /// Resolves `host:port`. Called on a thread of a tokio runtime.
    ///
    /// # Errors
    /// Fails if the name is unknown, or nobody answers who would know.
    fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// What a node takes from the world; see the module.
#[derive(Clone)]
pub struct Environment {
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where node ids, cluster ids, nonces and session ids come from.
    pub random: Arc<dyn Random>,
    /// Where packets go.
    pub sockets: Arc<dyn SocketFactory>,
    /// What names stand for.
    pub names: Arc<dyn Resolver>,
    /// What it speaks to its peers and writes into the log.
    pub versions: Versions,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemSource),
            sockets: Arc::new(UdpSockets),
            names: Arc::new(SystemNames),
            versions: Versions::default(),
        }
    }
}

impl Environment {
    /// Returns a random number that is not zero, since zero means "none" in several records.
    pub(crate) fn random_u64(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes).max(1))
    }

    pub(crate) fn random_u128(&self) -> io::Result<u128> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes)?;
        Ok(u128::from_be_bytes(bytes).max(1))
    }
}

#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    fn wall_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

#[derive(Debug)]
struct SystemSource;

impl Random for SystemSource {
    fn fill(&self, out: &mut [u8]) -> io::Result<()> {
        SystemRandom::new()
            .fill(out)
            .map_err(|_| io::Error::other("the system gives no random bytes"))
    }
}

/// Room for a burst of packets while this process is not scheduled; the system may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// The system's resolver, asked anew each time.
#[derive(Debug)]
struct SystemNames;

impl Resolver for SystemNames {
    fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host(address).await?.collect()) }.boxed()
    }
}

#[derive(Debug)]
struct UdpSockets;

impl SocketFactory for UdpSockets {
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn quinn::AsyncUdpSocket>> {
        use quinn::Runtime as _;
        let socket = std::net::UdpSocket::bind(address)?;
        let state = quinn::udp::UdpSocketState::new((&socket).into())?;
        let sized = state
            .set_recv_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES)
            .and_then(|()| state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER_BYTES));
        if let Err(error) = sized {
            tracing::debug!(%error, "the UDP socket keeps the buffers of the system's default");
        }
        quinn::TokioRuntime.wrap_udp_socket(socket)
    }
}
