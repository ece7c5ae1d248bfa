//! `Client` is the dialing side: one connection per peer and purpose, shared by all who wait.

use crate::error::Error;

/// Whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    /// If known, a node with another id at the address is refused.
    pub(crate) node_id: Option<u64>,
    /// For messages; the identity is the id.
    pub(crate) name: String,
    /// `host:port`, resolved again on each dial.
    pub(crate) address: String,
}

/// What a failed request tells about the peer.
#[derive(Debug, Clone)]
pub(crate) enum CallError {
    /// The peer did not get the request: nothing was done, ask elsewhere.
    Unsent(Error),
    /// The peer may have got the request, its answer is lost: it may be done.
    Lost(Error),
}
