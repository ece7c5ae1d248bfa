//! `Transport` is all of a node that speaks QUIC.

mod addresses;
mod change;
mod client;
mod credentials;
mod exchange;
mod failure;
mod frame;
mod greeting;
mod handler;
mod kind;
mod link;
mod message;
mod network;
mod outgoing;
mod pace;
mod peer;
mod places;
mod query;
mod quic;
mod secret;
mod server;
mod tls;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use quinn::{Endpoint, TokioRuntime};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

pub(crate) use self::client::CallError;
pub(crate) use self::exchange::Exchange;
pub(crate) use self::failure::{Failure, FailureReason};
pub(crate) use self::greeting::{Greeter, Hello, HelloRole, Reason, Unmet};
pub(crate) use self::handler::{Handler, Incoming};
pub(crate) use self::link::Link;
pub(crate) use self::message::{PeerMember, Peers, Request, Response};
pub(crate) use self::network::Network;
pub(crate) use self::pace::Pace;
pub(crate) use self::peer::Peer;
pub(crate) use self::query::{Answer, Query};

use self::client::Client;
use self::credentials::Credentials;
use self::places::{LIMITS, Limits, Places};
use self::server::Server;
use crate::config::Security;
use crate::environment::{Environment, Resolver};
use crate::error::{Error, Result};

/// What a transport needs to know to start.
#[derive(Debug, Clone)]
pub(crate) struct TransportOptions {
    /// Where the UDP socket is bound; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    pub(crate) security: Security,
}

/// The QUIC endpoint of a node. Cheap to clone; it closes with the last clone.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    client: Arc<Client>,
    local_addr: SocketAddr,
}

impl Transport {
    /// Binds the socket and starts to accept. Call it, like everything here, on a tokio runtime.
    pub(crate) fn start(
        options: &TransportOptions,
        environment: &Environment,
        handler: Arc<dyn Handler>,
    ) -> Result<Self> {
        Self::start_within(LIMITS, options, environment, handler)
    }

    fn start_within(
        limits: Limits,
        options: &TransportOptions,
        environment: &Environment,
        handler: Arc<dyn Handler>,
    ) -> Result<Self> {
        let greeter: Arc<dyn Greeter> = handler.clone();
        let listen = options.listen;
        let failure =
            format!("cannot listen on {listen} (UDP): choose a free address of this machine");
        let bound = Bound::new(listen, &options.security, environment, (&*greeter, failure))?;
        let server_config = (*bound.credentials.known().server).clone();
        bound.endpoint.set_server_config(Some(server_config));
        let (endpoint, credentials) = (bound.endpoint.clone(), bound.credentials.clone());
        let runtime = bound.runtime.clone();
        let transport = bound.with(greeter);
        let client = Arc::clone(&transport.0.client);
        let places = Places::new(limits);
        runtime.spawn(Server { endpoint, credentials, handler, client, places }.run());
        Ok(transport)
    }

    /// Binds a socket for a process that dials, and accepts nobody.
    pub(crate) fn dial_only(
        security: &Security,
        environment: &Environment,
        greeter: Arc<dyn Greeter>,
    ) -> Result<Self> {
        let bind = |listen| {
            let failure = "no UDP socket can be opened".to_owned();
            Bound::new(listen, security, environment, (&*greeter, failure))
        };
        // One socket for both families, where there is the newer one.
        let bound = bind((Ipv6Addr::UNSPECIFIED, 0).into())
            .or_else(|_| bind((Ipv4Addr::UNSPECIFIED, 0).into()))?;
        Ok(bound.with(greeter))
    }

    /// Returns where the socket is bound, with its real port.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr
    }

    /// Sends one request and waits for its answer, which may be [`Response::Failed`].
    ///
    /// Safe to cancel; whether the peer got the request is then unknown.
    pub(crate) async fn request(
        &self,
        peer: &Peer,
        request: Request,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        self.0.client.request(peer, &request, deadline).await
    }

    /// Begins an answer that comes in parts; the first one comes unasked.
    pub(crate) async fn exchange(
        &self,
        peer: &Peer,
        query: Query,
        deadline: Instant,
    ) -> Result<(Exchange, Answer)> {
        self.0.client.exchange(peer, query, deadline).await
    }

    /// Dials an address and returns what the node there says of itself now.
    ///
    /// The peer admits this node as always; this node only asks and does not admit the peer.
    pub(crate) async fn hello_of(&self, address: &str, deadline: Instant) -> Result<Hello, Unmet> {
        self.0.client.hello_of(address, deadline).await
    }

    /// Returns the network by which openraft reaches its peers.
    pub(crate) fn network(&self, pace: Arc<Pace>) -> Network {
        Network::new(Arc::clone(&self.0.client), pace)
    }

    /// Returns what is known of the ways to the nodes that this one has dialed.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.0.client.links()
    }

    /// Closes all connections, and waits until the peers know or the deadline passes.
    pub(crate) async fn close(&self, deadline: Instant) {
        self.0.endpoint.close(quic::CLOSE_DONE, b"the node closes");
        if timeout_at(deadline.into(), self.0.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("some peers were not told that the node closes");
        }
    }
}

/// A socket with QUIC on it that talks to nobody yet.
struct Bound {
    endpoint: Endpoint,
    credentials: Credentials,
    local_addr: SocketAddr,
    runtime: Handle,
    names: Arc<dyn Resolver>,
}

impl Bound {
    /// Binds the socket; `failure` says in words that it could not.
    fn new(
        listen: SocketAddr,
        security: &Security,
        environment: &Environment,
        (greeter, failure): (&dyn Greeter, String),
    ) -> Result<Self> {
        let runtime = Handle::try_current()
            .map_err(|error| Error::internal("QUIC needs a tokio runtime").with_source(error))?;
        let credentials = Credentials::load(security, Arc::clone(&environment.clock))?;
        let reset_key = security.reset_key(greeter.hello().identity.node_id)?;
        let cannot_bind =
            |error: std::io::Error| Error::invalid(failure.clone()).with_source(error);
        let socket = environment.sockets.bind(listen).map_err(cannot_bind)?;
        let local_addr = socket.local_addr().map_err(cannot_bind)?;
        let endpoint = Endpoint::new_with_abstract_socket(
            quic::endpoint_config(environment, reset_key)?,
            None,
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(cannot_bind)?;
        let names = Arc::clone(&environment.names);
        Ok(Self { endpoint, credentials, local_addr, runtime, names })
    }

    fn with(self, greeter: Arc<dyn Greeter>) -> Transport {
        let Self { endpoint, credentials, local_addr, runtime, names } = self;
        let client = Client::new(endpoint.clone(), credentials, greeter, runtime, names);
        let client = Arc::new(client);
        Transport(Arc::new(Shared { endpoint, client, local_addr }))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.endpoint.close(quic::CLOSE_DONE, b"the node closes");
    }
}

#[cfg(test)]
mod tests;
