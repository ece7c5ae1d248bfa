//! `Ports` are the addresses of one local node.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use anyhow::{Context, Result};

/// A UDP port for the other nodes, and a TCP port for HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Where the other nodes reach it.
    pub raft: u16,
    /// Where clients reach it.
    pub http: u16,
}

/// Finds `count` pairs of ports that nobody listens on: the wished ones, and those after them,
/// as far as they are free; port 0 wishes for any.
///
/// Another process may take one before its node does; whoever starts the node has to be ready
/// to choose again.
///
/// # Errors
/// If the system has no port left.
pub fn choose(wished: Ports, count: u16) -> Result<Vec<Ports>> {
    let after = |port: u16, step| if port == 0 { 0 } else { port.saturating_add(step) };
    // All are held until the last is found, so that none is found twice.
    let held = (0..count).map(|step| {
        let raft = udp(after(wished.raft, step)).or_else(|_| udp(0)).context("no free UDP port")?;
        let http = tcp(after(wished.http, step)).or_else(|_| tcp(0)).context("no free TCP port")?;
        Ok((raft, http))
    });
    let held: Vec<_> = held.collect::<Result<_>>()?;
    let port_numbers = held.iter().map(|(raft, http)| {
        Ok(Ports { raft: raft.local_addr()?.port(), http: http.local_addr()?.port() })
    });
    port_numbers.collect()
}

fn udp(port: u16) -> std::io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port))
}

fn tcp(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_ports_are_replaced_by_free_ones() {
        let busy = tcp(0).unwrap();
        let port = busy.local_addr().unwrap().port();
        let chosen = choose(Ports { raft: 0, http: port }, 1).unwrap();
        assert_ne!(chosen[0].http, port);
        assert_ne!(chosen[0].raft, 0);
    }

    #[test]
    fn no_port_is_chosen_twice() {
        let chosen = choose(Ports { raft: 0, http: 0 }, 5).unwrap();
        let raft: std::collections::BTreeSet<_> = chosen.iter().map(|ports| ports.raft).collect();
        assert_eq!(raft.len(), 5);
    }
}
