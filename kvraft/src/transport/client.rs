//! `Client` is the dialing side: one connection per peer and purpose, shared by all who wait.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{timeout, timeout_at};

use super::addresses::Addresses;
use super::credentials::Credentials;
use super::exchange::Exchange;
use super::frame::{check_known, check_len, expect_frame, write_frame};
use super::greeting::{Greeter, Hello, Reason, Refusal, Unmet};
use super::kind::{HELLO_LIMIT, RESPONSE_LIMIT};
use super::link::Link;
use super::message::{Request, Response};
use super::peer::Peer;
use super::query::{Answer, Query};
use super::quic;
use super::secret::NODE_NAME;
use crate::environment::Resolver;
use crate::error::{Error, Result};
use crate::identity::HexId;

/// One try to reach a peer: four round trips of any link, yet short enough that a peer which
/// comes back meanwhile is not waited for in the growing pauses between resent packets.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);

/// What a failed request tells about the peer.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// The peer did not get the request: nothing was done, ask elsewhere.
    Unsent(Error),
    /// The peer may have got the request, its answer is lost: it may be done.
    Lost(Error),
}

impl CallError {
    pub(crate) const fn error(&self) -> &Error {
        match self {
            Self::Unsent(error) | Self::Lost(error) => error,
        }
    }
}

/// What a connection is for: bulk must not hold up what is urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    Requests,
    Snapshots,
    /// What waits for something to happen, and may wait long.
    Waits,
}

const fn lane_of(request: &Request) -> Lane {
    if request.waits() { Lane::Waits } else { Lane::Requests }
}

type Slots = HashMap<(Peer, Lane), Slot>;

/// All who wait for one dial share it.
type Dial = Shared<BoxFuture<'static, Result<Way>>>;

/// A connection, and what is spoken on it.
#[derive(Debug, Clone)]
struct Way {
    connection: Connection,
    protocol: u16,
}

/// How far the way to one peer is built. A failed dial leaves none.
enum Slot {
    /// `again` starts the attempt anew, for a peer that is known to have come back.
    Dialing {
        dial: Dial,
        again: Arc<Notify>,
    },
    Open {
        way: Way,
        nonce: u64,
    },
}

pub(super) struct Client {
    endpoint: Endpoint,
    credentials: Credentials,
    greeter: Arc<dyn Greeter>,
    runtime: Handle,
    names: Arc<dyn Resolver>,
    slots: Mutex<Slots>,
    addresses: Addresses,
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        credentials: Credentials,
        greeter: Arc<dyn Greeter>,
        runtime: Handle,
        names: Arc<dyn Resolver>,
    ) -> Self {
        Self {
            endpoint,
            credentials,
            greeter,
            runtime,
            names,
            slots: Mutex::default(),
            addresses: Addresses::default(),
        }
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(
        self: &Arc<Self>,
        peer: &Peer,
        request: &Request,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        let (mut send, mut recv) = self
            .open(peer, lane_of(request), request, deadline)
            .await
            .map_err(CallError::Unsent)?;
        // A stream that was written whole and not reset can be finished.
        send.finish().map_err(|error| {
            CallError::Lost(Error::unavailable(format!("{peer} gave up")).with_source(error))
        })?;
        let answer = async {
            let frame = expect_frame(&mut recv, RESPONSE_LIMIT).await.map_err(Error::from)?;
            Response::decode(frame).map_err(Error::from)
        };
        self.before(deadline, peer, answer).await.map_err(CallError::Lost)
    }

    /// Begins an answer that comes in parts, and waits for the first.
    pub(super) async fn exchange(
        self: &Arc<Self>,
        peer: &Peer,
        query: Query,
        deadline: Instant,
    ) -> Result<(Exchange, Answer)> {
        let request = Request::Query(query);
        let (send, recv) = self.open(peer, lane_of(&request), &request, deadline).await?;
        let mut exchange = Exchange::new(peer.clone(), send, recv);
        let first = self.before(deadline, peer, exchange.part()).await?;
        Ok((exchange, first))
    }

    /// Opens a stream and writes its first request; an error means that the peer got none.
    pub(super) async fn open(
        self: &Arc<Self>,
        peer: &Peer,
        lane: Lane,
        request: &Request,
        deadline: Instant,
    ) -> Result<(SendStream, RecvStream)> {
        let frame = request.encode();
        check_len(&frame)?;
        let Way { connection, protocol } = self.way(peer, lane, deadline).await?;
        check_known(&frame, protocol).map_err(|error| error.context(peer))?;
        let opened = async {
            let (mut send, recv) = connection.open_bi().await.map_err(quic::connection_error)?;
            if request.is_urgent() {
                // Only a stream that was reset has no priority to set.
                send.set_priority(quic::URGENT).ok();
            }
            write_frame(&mut send, frame).await?;
            Ok::<_, Error>((send, recv))
        };
        self.before(deadline, peer, opened).await
    }

    async fn before<T>(
        &self,
        deadline: Instant,
        peer: &Peer,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match timeout_at(deadline.into(), work).await {
            Ok(result) => result.map_err(|error| error.context(peer)),
            Err(_) => Err(Error::unavailable(format!("{peer} did not answer in time"))),
        }
    }

    /// Dials an address and returns what the node there says of itself now.
    pub(super) async fn hello_of(&self, address: &str, deadline: Instant) -> Result<Hello, Unmet> {
        let peer = Peer { node_id: None, name: String::new(), address: address.to_owned() };
        let asked = self.before(deadline, &peer, async { Ok(self.reach(&peer).await) });
        let (way, hello) = asked.await?.map_err(|unmet| unmet.context(&peer))?;
        way.connection.close(quic::CLOSE_DONE, b"");
        Ok(hello)
    }

    /// Takes note that a node has dialed in: connections to its former start are dead, and a
    /// dial that waits for it need not wait longer.
    pub(super) fn peer_is_up(&self, hello: &Hello) {
        self.addresses.note(hello);
        let mut slots = self.slots();
        slots.retain(|(peer, _), slot| {
            if peer.node_id != Some(hello.identity.node_id) {
                return true;
            }
            match slot {
                Slot::Dialing { again, .. } => {
                    again.notify_one();
                    true
                }
                Slot::Open { nonce, .. } if *nonce == hello.identity.nonce => true,
                Slot::Open { way, .. } => {
                    way.connection.close(quic::CLOSE_SUPERSEDED, b"the peer has restarted");
                    false
                }
            }
        });
    }

    /// Returns what is known of the open ways for requests.
    pub(super) fn links(&self) -> Vec<Link> {
        let slots = self.slots();
        let links = slots.iter().filter_map(|((peer, lane), slot)| match slot {
            Slot::Open { way, .. } if *lane == Lane::Requests => {
                Some(Link::of(peer.node_id?, &way.connection))
            }
            Slot::Open { .. } | Slot::Dialing { .. } => None,
        });
        links.collect()
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn way(self: &Arc<Self>, peer: &Peer, lane: Lane, deadline: Instant) -> Result<Way> {
        let dial = {
            let mut slots = self.slots();
            match slots.get(&(peer.clone(), lane)) {
                Some(Slot::Open { way, .. }) if way.connection.close_reason().is_none() => {
                    return Ok(way.clone());
                }
                Some(Slot::Dialing { dial, .. }) => dial.clone(),
                Some(Slot::Open { .. }) | None => self.start_dial(&mut slots, peer, lane),
            }
        };
        self.before(deadline, peer, dial).await
    }

    fn start_dial(self: &Arc<Self>, slots: &mut Slots, peer: &Peer, lane: Lane) -> Dial {
        slots.retain(|_, slot| match slot {
            Slot::Dialing { .. } => true,
            Slot::Open { way, .. } => way.connection.close_reason().is_none(),
        });
        let again = Arc::new(Notify::new());
        let task = self.runtime.spawn({
            let (client, peer, again) = (Arc::clone(self), peer.clone(), Arc::clone(&again));
            async move { client.dial(peer, lane, &again).await }
        });
        let dial = async move {
            task.await.unwrap_or_else(|error| {
                Err(Error::closed("the node stopped while dialing").with_source(error))
            })
        };
        let dial = dial.boxed().shared();
        slots.insert((peer.clone(), lane), Slot::Dialing { dial: dial.clone(), again });
        dial
    }

    async fn dial(&self, peer: Peer, lane: Lane, again: &Notify) -> Result<Way> {
        let attempts = async {
            loop {
                tokio::select! {
                    reached = self.reach_known(&peer) => return reached,
                    () = again.notified() => {}
                }
            }
        };
        let reached = timeout(DIAL_TIMEOUT, attempts)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("no answer")));
        let mut slots = self.slots();
        match reached {
            Ok((way, nonce)) => {
                slots.insert((peer, lane), Slot::Open { way: way.clone(), nonce });
                Ok(way)
            }
            Err(error) => {
                slots.remove(&(peer, lane));
                Err(error)
            }
        }
    }

    /// Reaches a peer and makes sure that it is the one that was meant, and that it may be talked
    /// to.
    async fn reach_known(&self, peer: &Peer) -> Result<(Way, u64)> {
        let (way, hello) = self.reach(peer).await.map_err(Unmet::into_error)?;
        let found = hello.identity.node_id;
        let checked = match peer.node_id {
            Some(expected) if expected != found => Err(Error::refused(format!(
                "node id {} was expected there, and node {} with id {} answered: another node \
                 has taken the address",
                HexId(expected),
                hello.identity.name,
                HexId(found)
            ))),
            Some(_) | None => self.greeter.admit(&hello).await.map_err(Unmet::into_error),
        };
        if let Err(error) = checked {
            way.connection.close(quic::CLOSE_REFUSED, error.message().as_bytes());
            return Err(error);
        }
        Ok((way, hello.identity.nonce))
    }

    /// Resolves the address, tries what it stands for in turn, and exchanges hellos.
    async fn reach(&self, peer: &Peer) -> Result<(Way, Hello), Unmet> {
        let mut failure = Unmet::from(Error::unavailable("the name stands for no address"));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for name in self.addresses.of(peer) {
            match self.names.resolve(&name).await {
                Ok(found) => addresses.extend(found),
                Err(error) => {
                    let why = format!("the address {name} cannot be resolved");
                    failure = Error::unavailable(why).with_source(error).into();
                }
            }
        }
        let share = DIAL_TIMEOUT / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        for address in addresses {
            match timeout(share, self.greet(address)).await {
                Ok(Ok(reached)) => return Ok(reached),
                Ok(Err(unmet)) => failure = unmet,
                Err(_) => failure = Error::unavailable(format!("no answer from {address}")).into(),
            }
        }
        Err(failure)
    }

    async fn greet(&self, address: SocketAddr) -> Result<(Way, Hello), Unmet> {
        let config = self.credentials.current().await?.client;
        let connection = self
            .endpoint
            .connect_with(config, address, NODE_NAME)
            .map_err(|error| {
                Error::unavailable(format!("{address} cannot be dialed")).with_source(error)
            })?
            .await
            .map_err(quic::connection_error)?;
        let (mut send, mut recv) = connection.open_bi().await.map_err(quic::connection_error)?;
        let own = self.greeter.hello();
        write_frame(&mut send, own.encode()).await?;
        let answer = expect_frame(&mut recv, HELLO_LIMIT).await?;
        if let Some(Refusal { reason, text }) = Refusal::decode(&answer)? {
            let error = Error::refused(format!("the peer refused: {text}"));
            return Err(Unmet::Refused(reason, error));
        }
        let agreed = Hello::decode(answer)
            .map_err(|error| {
                let error = Error::refused("the peer cannot be talked to").with_source(error);
                Unmet::Refused(Reason::Other, error)
            })
            .and_then(|hello| own.agree(&hello).map(|protocol| (hello, protocol)));
        match agreed {
            Ok((hello, protocol)) => {
                self.addresses.note(&hello);
                Ok((Way { connection, protocol }, hello))
            }
            Err(unmet) => {
                let error = unmet.clone().into_error();
                connection.close(quic::CLOSE_REFUSED, error.to_string().as_bytes());
                Err(unmet)
            }
        }
    }
}
