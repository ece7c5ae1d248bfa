//! `Cluster` is n nodes on loopback in this process; one call a step, no sleeps.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kvraft::environment::{Environment, Versions};
use kvraft::{ClientConfig, Config, ErrorKind, Insecure, ReadOptions, ReplicatedMap, Role};
use tempfile::TempDir;

use crate::network::Network;

/// How long a condition may take; far more than it should, since two cores run many tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Nodes `n0`, `n1`, … in directories of their own.
pub(crate) struct Cluster {
    dir: TempDir,
    pub(crate) network: Network,
    pub(crate) addresses: Vec<SocketAddr>,
    /// So many nodes found the cluster; the others join it.
    pub(crate) founders: usize,
    pub(crate) maps: Vec<Option<ReplicatedMap>>,
    /// Of which release each node is when it is opened next.
    pub(crate) versions: Vec<Versions>,
    adjust: Arc<dyn Fn(usize, Config) -> Config + Send + Sync>,
}

impl Cluster {
    /// Starts `size` nodes and waits until all are ready.
    pub(crate) async fn start(size: usize) -> Self {
        Self::start_with(size, |_, config| config).await
    }

    /// Starts nodes whose settings are adjusted first.
    pub(crate) async fn start_with(
        size: usize,
        adjust: impl Fn(usize, Config) -> Config + Send + Sync + 'static,
    ) -> Self {
        let mut cluster = Self::prepare(size, adjust);
        for node in 0..size {
            cluster.open(node).await;
        }
        cluster.wait_all_ready().await;
        cluster
    }

    /// Reserves everything and starts nothing.
    pub(crate) fn prepare(
        size: usize,
        adjust: impl Fn(usize, Config) -> Config + Send + Sync + 'static,
    ) -> Self {
        let network = Network::default();
        let addresses = (0..size).map(|_| network.reserve()).collect();
        let dir = TempDir::new().expect("a temporary directory");
        Self {
            dir,
            network,
            addresses,
            founders: size,
            maps: vec![None; size],
            versions: vec![Versions::default(); size],
            adjust: Arc::new(adjust),
        }
    }

    pub(crate) fn config(&self, node: usize) -> Config {
        let mut members: Vec<_> = self
            .addresses
            .iter()
            .take(self.founders)
            .enumerate()
            .map(|(i, address)| (format!("n{i}"), address.to_string()))
            .collect();
        // Each node is told the same list in another order.
        members.rotate_left(node % self.founders);
        let joins = node >= self.founders;
        let join: Vec<_> = members.extract_if(.., |_| joins).map(|(_, address)| address).collect();
        let environment = self.environment(self.versions[node]);
        let config = Config::new(self.path(node))
            .name(format!("n{node}"))
            .listen(self.addresses[node].to_string())
            .members(members)
            .join(join)
            .insecure(Insecure::Loopback)
            .environment(environment);
        (self.adjust)(node, config)
    }

    /// The settings of a client that knows these nodes.
    pub(crate) fn client_config(&self, nodes: &[usize]) -> ClientConfig {
        let environment = self.environment(Versions::default());
        ClientConfig::new(nodes.iter().map(|node| self.addresses[*node].to_string()))
            .insecure(Insecure::Loopback)
            .environment(environment)
    }

    /// Connects a client that knows these nodes.
    pub(crate) async fn connect(&self, nodes: &[usize]) -> ReplicatedMap {
        ReplicatedMap::connect(self.client_config(nodes)).await.expect("the client connects")
    }

    /// The world of this test: its own network and its own names.
    pub(crate) fn environment(&self, versions: Versions) -> Environment {
        let network = Arc::new(self.network.clone());
        Environment { sockets: network.clone(), names: network, versions, ..Environment::default() }
    }

    pub(crate) fn path(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{node}"))
    }

    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.addresses[node]
    }

    pub(crate) async fn open(&mut self, node: usize) -> ReplicatedMap {
        let map = ReplicatedMap::open(self.config(node)).await.expect("the node opens");
        self.maps[node] = Some(map.clone());
        map
    }

    pub(crate) fn map(&self, node: usize) -> &ReplicatedMap {
        self.maps[node].as_ref().expect("the node runs")
    }

    /// Stops a node in good order.
    pub(crate) async fn close(&mut self, node: usize) {
        let map = self.maps[node].take().expect("the node runs");
        map.close().await.expect("the node closes");
    }

    pub(crate) async fn wait_all_ready(&self) {
        for map in self.running() {
            map.wait_ready(PATIENCE)
                .await
                .unwrap_or_else(|error| panic!("{map:?} is ready: {error}"));
        }
    }

    /// Waits until the given nodes agree on a leader among them, and returns it.
    pub(crate) async fn leader_among(&self, nodes: &[usize]) -> usize {
        eventually("the nodes agree on a leader", async || {
            let leader =
                nodes.iter().copied().find(|node| self.map(*node).status().role == Role::Leader)?;
            let name = format!("n{leader}");
            nodes
                .iter()
                .all(|node| self.map(*node).status().leader.as_ref() == Some(&name))
                .then_some(leader)
        })
        .await
    }

    pub(crate) async fn leader(&self) -> usize {
        let nodes: Vec<_> =
            (0..self.maps.len()).filter(|node| self.maps[*node].is_some()).collect();
        self.leader_among(&nodes).await
    }

    /// Every other node.
    pub(crate) fn others(&self, node: usize) -> Vec<usize> {
        (0..self.maps.len()).filter(|other| *other != node).collect()
    }

    /// Cuts the given nodes off from the rest.
    pub(crate) fn isolate(&self, nodes: &[usize]) {
        let (some, others): (Vec<_>, Vec<_>) =
            (0..self.addresses.len()).partition(|node| nodes.contains(node));
        let addresses = |nodes: Vec<usize>| {
            nodes.into_iter().map(|node| self.addresses[node]).collect::<Vec<_>>()
        };
        self.network.cut(&addresses(some), &addresses(others));
    }

    /// Waits until a node has applied the key locally.
    pub(crate) async fn wait_local(&self, node: usize, key: &str, value: &str) {
        let local = ReadOptions::new().consistency(kvraft::Consistency::Local);
        eventually("the node has applied the key", async || {
            let entry = self.map(node).get_with(key, local).await.expect("a local read");
            (entry?.value == value).then_some(())
        })
        .await;
    }

    fn running(&self) -> impl Iterator<Item = &ReplicatedMap> {
        self.maps.iter().flatten()
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in {PATIENCE:?} it did not come true that {what}");
        // The conditions are of other threads; there is nothing to be woken by.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Asserts that a call failed as one of the kinds.
#[track_caller]
pub(crate) fn assert_kind<T: std::fmt::Debug>(result: kvraft::Result<T>, kinds: &[ErrorKind]) {
    match result {
        Ok(value) => panic!("it succeeded with {value:?}"),
        Err(error) => assert!(kinds.contains(&error.kind()), "{error:?} is none of {kinds:?}"),
    }
}
