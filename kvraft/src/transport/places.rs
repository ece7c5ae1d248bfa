//! `Places` is what clients may take of one node, and `Greetings` what strangers may, so that
//! members are always let in.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::greeting::{Hello, HelloRole};
use crate::error::{Error, Result};

/// Connections in all; more are refused. A cluster with its clients has far fewer.
pub(super) const MAX_CONNECTIONS: usize = 4096;
/// Peers between their first packet and their hello; more are refused and try again.
const MAX_GREETINGS: usize = 256;
/// How many of them one host may have. Who holds handshakes open for as long as they may last
/// would else keep all members out that have to dial again.
const GREETINGS_OF_HOST: usize = 32;
/// The rest of the connections is for members, and for those who have not said who they are.
const CLIENT_CONNECTIONS: usize = MAX_CONNECTIONS - 2 * MAX_GREETINGS;
/// Answers that wait for room on their connections: three of the largest, and thousands as they
/// mostly are. Who asks for much and reads nothing of it does not fill the memory.
const UNREAD_KIB: usize = 256 << 10;

pub(super) const LIMITS: Limits =
    Limits { connections: CLIENT_CONNECTIONS, unread_kib: UNREAD_KIB };

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections: usize,
    pub(super) unread_kib: usize,
}

/// What is left of it. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Places {
    connections: Arc<Semaphore>,
    unread_kib: Arc<Semaphore>,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            connections: Arc::new(Semaphore::new(limits.connections)),
            unread_kib: Arc::new(Semaphore::new(limits.unread_kib)),
        }
    }

    /// Takes a place for the connection of a client; a member needs none.
    pub(super) fn take(&self, peer: &Hello) -> Result<Option<OwnedSemaphorePermit>> {
        if peer.role == HelloRole::Member {
            return Ok(None);
        }
        Arc::clone(&self.connections).try_acquire_owned().map(Some).map_err(|_| {
            Error::overloaded("this node has as many clients as it takes; ask another member")
        })
    }

    /// Takes room for an answer that is about to be sent.
    pub(super) fn room_for(&self, frame: &Bytes) -> Result<SemaphorePermit<'_>> {
        let kib = u32::try_from(frame.len().div_ceil(1024)).unwrap_or(u32::MAX);
        self.unread_kib
            .try_acquire_many(kib)
            .map_err(|_| Error::overloaded("too many answers of this node wait to be read; retry"))
    }
}

/// Peers that have not said who they are. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Greetings {
    all: Arc<Semaphore>,
    hosts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// The place of one such peer; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Greeting {
    host: IpAddr,
    greetings: Greetings,
    _one: OwnedSemaphorePermit,
}

impl Greetings {
    pub(super) fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_GREETINGS)), hosts: Arc::default() }
    }

    /// Takes a place for a peer at this address; none is left if there are too many, here or of
    /// its host.
    pub(super) fn take(&self, remote: IpAddr) -> Option<Greeting> {
        let one = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let host = host_of(remote);
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let held = hosts.entry(host).or_default();
        if *held == GREETINGS_OF_HOST {
            return None;
        }
        *held += 1;
        Some(Greeting { host, greetings: self.clone(), _one: one })
    }
}

impl Drop for Greeting {
    fn drop(&mut self) {
        let mut hosts = self.greetings.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let left = hosts.get(&self.host).map_or(0, |held| held.saturating_sub(1));
        if left == 0 {
            hosts.remove(&self.host);
        } else {
            hosts.insert(self.host, left);
        }
    }
}

/// What is given to one host at least: an IPv4 address, or 64 bits of an IPv6 one (RFC 4291).
fn host_of(address: IpAddr) -> IpAddr {
    const NETWORK: u128 = !0 << 64;
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_cannot_take_all_places_of_strangers() {
        let greetings = Greetings::new();
        let of = |text: &str| greetings.take(text.parse().unwrap());
        let mut held: Vec<_> =
            (0..GREETINGS_OF_HOST).map(|_| of("10.0.0.1").expect("a place")).collect();
        assert!(of("10.0.0.1").is_none());
        assert!(of("::ffff:10.0.0.1").is_none(), "the same host, as a dual socket names it");
        assert!(of("10.0.0.2").is_some());
        held.pop();
        assert!(of("10.0.0.1").is_some());
        let six: Vec<_> = (0..).map_while(|n| of(&format!("2001:db8::{n:x}"))).collect();
        assert_eq!(six.len(), GREETINGS_OF_HOST, "one network of 64 bits is one host");
        drop((held, six));
        assert!(greetings.hosts.lock().unwrap().is_empty());
    }

    #[test]
    fn all_hosts_together_have_a_bound_too() {
        let greetings = Greetings::new();
        let held: Vec<_> =
            (0..1000_u32).map_while(|n| greetings.take(IpAddr::V4(n.into()))).collect();
        assert_eq!(held.len(), MAX_GREETINGS);
    }
}
