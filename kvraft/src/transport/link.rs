//! `Link` is what QUIC knows of the way to a peer.

use std::time::Duration;

use quinn::Connection;

/// The connection for requests to one node, as it is now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) node_id: u64,
    /// Smoothed, as RFC 9002 has it.
    pub(crate) round_trip: Duration,
    pub(crate) packets_sent: u64,
    pub(crate) packets_lost: u64,
}

impl Link {
    pub(super) fn of(node_id: u64, connection: &Connection) -> Self {
        let path = connection.stats().path;
        Self {
            node_id,
            round_trip: path.rtt,
            packets_sent: path.sent_packets,
            packets_lost: path.lost_packets,
        }
    }
}
