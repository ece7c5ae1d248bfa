//! `Peer` is another node, as this one means to reach it.

use std::fmt;

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

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            return write!(f, "the node at {}", self.address);
        }
        write!(f, "node {} at {}", self.name, self.address)
    }
}
