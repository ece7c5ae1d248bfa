//! `Addresses` is where nodes have said that they are: newer than what was recorded of them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::greeting::{Hello, HelloRole};
use super::peer::Peer;

/// Nodes whose addresses are remembered: many times as many as a cluster has in its life.
const MAX_ADDRESSES: usize = 1024;

/// By node id: an address says nothing of who is there.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<HashMap<u64, String>>);

impl Addresses {
    /// Remembers where a node says that it is.
    pub(super) fn note(&self, hello: &Hello) {
        let address = &hello.record.address;
        if hello.role != HelloRole::Member || address.is_empty() {
            return;
        }
        let mut known = self.lock();
        if known.len() < MAX_ADDRESSES || known.contains_key(&hello.identity.node_id) {
            known.insert(hello.identity.node_id, address.clone());
        }
    }

    /// Returns where a peer may be: where it has said last, and where it was recorded.
    pub(super) fn of(&self, peer: &Peer) -> Vec<String> {
        let said = peer.node_id.and_then(|id| self.lock().get(&id).cloned());
        let recorded = Some(peer.address.clone()).filter(|address| said.as_ref() != Some(address));
        said.into_iter().chain(recorded).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
