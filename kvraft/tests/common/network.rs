//! `Network` cuts and loses packets under QUIC: a UDP socket that asks it before each send.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use kvraft::environment::{Resolver, SocketFactory};
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, UdpPoller};

/// The network between the nodes of one test.
#[derive(Clone, Default)]
pub(crate) struct Network(Arc<Mutex<Rules>>);

#[derive(Default)]
pub(crate) struct Rules {
    cut: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Nothing goes to or from these, whoever is at the other end.
    silent: BTreeSet<SocketAddr>,
    /// Of a thousand packets so many are lost.
    loss: u64,
    dice: u64,
    /// What names stand for, beside those that the system knows.
    pub(crate) names: BTreeMap<String, Vec<SocketAddr>>,
    /// Sockets that are bound before their node starts, so that no other test takes the port.
    reserved: BTreeMap<SocketAddr, UdpSocket>,
}

impl Network {
    /// Takes a free address on loopback.
    pub(crate) fn reserve(&self) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("a bound address");
        self.rules().reserved.insert(address, socket);
        address
    }

    /// Cuts both directions between the two groups.
    pub(crate) fn cut(&self, some: &[SocketAddr], others: &[SocketAddr]) {
        self.cut_one_way(some, others);
        self.cut_one_way(others, some);
    }

    /// Loses what the first group sends to the second.
    pub(crate) fn cut_one_way(&self, from: &[SocketAddr], to: &[SocketAddr]) {
        let mut rules = self.rules();
        for from in from {
            for to in to {
                rules.cut.insert((*from, *to));
            }
        }
    }

    /// Loses about so many of a thousand packets, everywhere.
    pub(crate) fn lose(&self, per_thousand: u64) {
        self.rules().loss = per_thousand;
    }

    /// Loses everything to and from one address, clients included.
    pub(crate) fn silence(&self, address: SocketAddr) {
        self.rules().silent.insert(address);
    }

    /// Mends every cut and loses nothing any more.
    pub(crate) fn heal(&self) {
        let mut rules = self.rules();
        rules.cut.clear();
        rules.silent.clear();
        rules.loss = 0;
    }

    fn drops(&self, from: SocketAddr, to: SocketAddr) -> bool {
        // A socket of both families writes the addresses of the older one in another way.
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let mut rules = self.rules();
        if rules.silent.contains(&from) || rules.silent.contains(&to) {
            return true;
        }
        // A linear congruential generator (Knuth's MMIX constants): any spread will do.
        rules.dice = rules
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        rules.cut.contains(&(from, to)) || (rules.dice >> 33) % 1000 < rules.loss
    }

    pub(crate) fn rules(&self) -> MutexGuard<'_, Rules> {
        self.0.lock().expect("no test panics while it holds the rules")
    }
}

impl SocketFactory for Network {
    fn bind(&self, address: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let reserved = self.rules().reserved.remove(&address);
        let socket = match reserved {
            Some(socket) => socket,
            None => UdpSocket::bind(address)?,
        };
        let own = socket.local_addr()?;
        let inner = quinn::TokioRuntime.wrap_udp_socket(socket)?;
        Ok(Arc::new(CutSocket { inner, own, network: self.clone() }))
    }
}

impl Resolver for Network {
    fn resolve<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let named = self.rules().names.get(address).cloned();
        async move {
            match named {
                Some(addresses) => Ok(addresses),
                None => Ok(tokio::net::lookup_host(address).await?.collect()),
            }
        }
        .boxed()
    }
}

struct CutSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    own: SocketAddr,
    network: Network,
}

impl fmt::Debug for CutSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CutSocket({})", self.own)
    }
}

impl AsyncUdpSocket for CutSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.network.drops(self.own, transmit.destination) {
            return Ok(());
        }
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
