//! `Transport` is all of a node that speaks QUIC.

mod client;
mod credentials;
mod frame;
mod greeting;
mod kind;
mod message;
mod network;
mod quic;
mod secret;
mod server;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn::{Endpoint, TokioRuntime};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

pub(crate) use self::client::{CallError, Peer};
pub(crate) use self::greeting::{Hello, HelloRole, PROTOCOL};
pub(crate) use self::message::{Failure, FailureReason, PeerMember, Peers, Request, Response};
pub(crate) use self::network::Network;
pub(crate) use self::server::Handler;

use self::client::Client;
use self::credentials::Credentials;
use self::server::Server;
use crate::config::Security;
use crate::environment::Environment;
use crate::error::{Error, Result};

/// What a transport needs to know to start.
#[derive(Debug, Clone)]
pub(crate) struct TransportOptions {
    /// Where the UDP socket is bound; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Whether others may dial in. A client without disk or vote accepts nobody.
    pub(crate) accept: bool,
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
        let runtime = Handle::try_current()
            .map_err(|error| Error::internal("QUIC needs a tokio runtime").with_source(error))?;
        let credentials = Credentials::load(&options.security, Arc::clone(&environment.clock))?;
        let reset_key = options.security.reset_key(handler.hello().identity.node_id)?;
        let server_config = options.accept.then(|| (*credentials.known().server).clone());
        let cannot_listen = |error: std::io::Error| {
            Error::invalid(format!(
                "cannot listen on {} (UDP): choose a free address of this machine",
                options.listen
            ))
            .with_source(error)
        };
        let socket = environment.sockets.bind(options.listen).map_err(cannot_listen)?;
        let local_addr = socket.local_addr().map_err(cannot_listen)?;
        let endpoint = Endpoint::new_with_abstract_socket(
            quic::endpoint_config(environment, reset_key)?,
            server_config,
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(cannot_listen)?;
        let client = Arc::new(Client::new(
            endpoint.clone(),
            credentials.clone(),
            Arc::clone(&handler),
            runtime.clone(),
        ));
        if options.accept {
            let (endpoint, client) = (endpoint.clone(), Arc::clone(&client));
            runtime.spawn(Server { endpoint, credentials, handler, client }.run());
        }
        Ok(Self(Arc::new(Shared { endpoint, client, local_addr })))
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

    /// Dials an address and returns what the node there says of itself now.
    ///
    /// The peer admits this node as always; this node only asks and does not admit the peer.
    pub(crate) async fn hello_of(&self, address: &str, deadline: Instant) -> Result<Hello> {
        self.0.client.hello_of(address, deadline).await
    }

    /// Returns the network by which openraft reaches its peers.
    pub(crate) fn network(&self) -> Network {
        Network::new(Arc::clone(&self.0.client))
    }

    /// Closes all connections, and waits until the peers know or the deadline passes.
    pub(crate) async fn close(&self, deadline: Instant) {
        self.0.endpoint.close(quic::CLOSE_DONE, b"the node closes");
        if timeout_at(deadline.into(), self.0.endpoint.wait_idle()).await.is_err() {
            tracing::debug!("some peers were not told that the node closes");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.endpoint.close(quic::CLOSE_DONE, b"the node closes");
    }
}

#[cfg(test)]
mod tests;
