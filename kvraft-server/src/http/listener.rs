//! A `Listener` takes connections in, and lets them end well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::connection::Connection;
use crate::reloaded::Reloaded;

/// The pause after a failure to accept, such as too many open files: others may close theirs.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is served.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) tcp: TcpListener,
    /// Absent where HTTP is plain.
    pub(crate) tls: Option<Arc<Reloaded<ServerConfig>>>,
    /// Connections at a time; more wait in the kernel's queue.
    pub(crate) max_connections: u32,
    /// How long a client may take to send the head of a request, and may stay without one.
    pub(crate) head_timeout: Duration,
    /// How long requests may take to finish at the end.
    pub(crate) grace: Duration,
}

impl Listener {
    /// Serves `router` until `stop` says true, then finishes the requests that have begun.
    pub(crate) async fn serve(self, router: Router, mut stop: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.max_connections as usize));
        loop {
            let accepted = tokio::select! {
                // An error says that the server itself is gone.
                _ = stop.wait_for(|stop| *stop) => break,
                accepted = accept(&self.tcp, &slots) => accepted,
            };
            let Some((stream, peer, slot)) = accepted else { continue };
            let connection = Connection {
                router: router.clone(),
                peer: peer.ip(),
                tls: self.tls.as_ref().map(|tls| tls.current()),
                head_timeout: self.head_timeout,
                stop: stop.clone(),
            };
            tokio::spawn(async move {
                if let Err(error) = connection.serve(stream).await {
                    tracing::debug!(%peer, "a connection broke: {error:#}");
                }
                drop(slot);
            });
        }
        // From here on, clients are refused at once, and try another node.
        drop(self.tcp);
        let all_done = slots.acquire_many(self.max_connections);
        if timeout(self.grace, all_done).await.is_err() {
            let grace = self.grace;
            tracing::warn!(
                ?grace,
                "requests were cut off, as they took longer than shutdown_grace"
            );
        }
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
