//! Clusters that grow, and nodes that come back changed.

use std::net::SocketAddr;

use kvraft::Config;

use crate::harness::{Cluster, eventually};
use crate::network::Network;

impl Network {
    /// Says what a name stands for.
    pub(crate) fn name(&self, name: &str, addresses: &[SocketAddr]) {
        self.rules().names.insert(name.to_owned(), addresses.to_vec());
    }
}

impl Cluster {
    /// Founds a cluster of the first nodes; the others may be opened later, and join it.
    pub(crate) async fn found(founders: usize, others: usize) -> Self {
        Self::found_with(founders, others, |_, config| config).await
    }

    /// Founds a cluster of nodes whose settings are adjusted first.
    pub(crate) async fn found_with(
        founders: usize,
        others: usize,
        adjust: impl Fn(usize, Config) -> Config + Send + Sync + 'static,
    ) -> Self {
        let mut cluster = Self::prepare(founders + others, adjust);
        cluster.founders = founders;
        for node in 0..founders {
            cluster.open(node).await;
        }
        cluster.wait_all_ready().await;
        cluster
    }

    /// Gives a node that does not run another address.
    pub(crate) fn readdress(&mut self, node: usize) {
        assert!(self.maps[node].is_none(), "the node runs");
        self.addresses[node] = self.network.reserve();
    }

    /// Empties the data directory of a node that does not run.
    pub(crate) fn wipe(&self, node: usize) {
        assert!(self.maps[node].is_none(), "the node runs");
        std::fs::remove_dir_all(self.path(node)).expect("the directory is there");
    }

    /// Waits until a running node says that these nodes are its voters.
    pub(crate) async fn wait_voters(&self, asked: usize, voters: &[usize]) {
        let names: Vec<_> = voters.iter().map(|node| format!("n{node}")).collect();
        eventually("the voters are as they should be", async || {
            let members = self.map(asked).status().members.into_iter();
            let found: Vec<_> = members.filter(|m| m.voter).map(|m| m.name).collect();
            (found == names).then_some(())
        })
        .await;
    }
}
