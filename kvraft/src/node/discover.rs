//! Discovery: how nodes that were given no list find each other, by a name that stands for all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::core::Core;
use crate::config::Discovery;
use crate::error::{Error, Result};
use crate::transport::{Hello, Unmet};

/// How long one node may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(2);

impl Core {
    /// Asks everyone at the name who he is; returns the founders beside this node, by name, as soon
    /// as enough are there.
    pub(super) async fn discover(&self, discovery: &Discovery) -> Result<BTreeMap<String, Hello>> {
        let mut met = self.met_at(discovery).await?;
        if let Some((name, _)) = met.iter().find(|(_, hello)| hello.initialised) {
            // A cluster exists: it is joined, however many are there.
            let name = name.clone();
            met.retain(|known, _| *known == name);
            return Ok(met);
        }
        let known: Vec<_> = met.keys().map(String::as_str).chain([&*self.config.name]).collect();
        if known.len() < discovery.expect {
            return Err(Error::unavailable(format!(
                "waiting for {} nodes at {}; there are {} ({})",
                discovery.expect,
                discovery.dns,
                known.len(),
                known.join(", ")
            )));
        }
        let founders: BTreeSet<_> = known.iter().map(|name| (*name).to_owned()).collect();
        let founders: BTreeSet<_> = founders.into_iter().take(discovery.expect).collect();
        if !founders.contains(&self.config.name) {
            let founders = founders.into_iter().collect::<Vec<_>>().join(", ");
            return Err(Error::unavailable(format!("waiting for {founders} to found the cluster")));
        }
        met.retain(|name, _| founders.contains(name));
        Ok(met)
    }

    async fn met_at(&self, discovery: &Discovery) -> Result<BTreeMap<String, Hello>> {
        let Some(transport) = &self.transport else { return Ok(BTreeMap::new()) };
        let deadline = self.now() + PATIENCE;
        let addresses = self.addresses_at(&discovery.dns).await?;
        let asked = join_all(addresses.into_iter().map(async |address| {
            let hello = transport.hello_of(&address, deadline).await.map_err(Unmet::into_error);
            hello.inspect_err(|error| tracing::debug!(address, %error, "was not met")).ok()
        }));
        let mut met = BTreeMap::new();
        // A node may be met at several addresses, and so is this one.
        for hello in asked.await.into_iter().flatten() {
            if hello.identity.node_id == self.node_id() {
                continue;
            }
            let name = hello.identity.name.clone();
            let id = hello.identity.node_id;
            let other: Option<Hello> = met.insert(name.clone(), hello);
            let twice = other.is_some_and(|other| other.identity.node_id != id);
            if twice || name == self.config.name {
                return Err(Error::unavailable(format!(
                    "two nodes at {} are named {name}; give each a name of its own",
                    discovery.dns
                )));
            }
        }
        Ok(met)
    }

    /// Returns where everyone may be met, this node included; nothing if the name stands for none.
    pub(super) async fn discovered_addresses(&self) -> BTreeSet<String> {
        let Some(discovery) = &self.config.discovery else { return BTreeSet::new() };
        self.addresses_at(&discovery.dns).await.unwrap_or_default()
    }

    async fn addresses_at(&self, dns: &str) -> Result<BTreeSet<String>> {
        let found = self.config.environment.names.resolve(dns).await.map_err(|error| {
            Error::unavailable(format!("discover_dns {dns} cannot be resolved yet"))
                .with_source(error)
        })?;
        Ok(found.into_iter().map(|address| address.to_string()).collect())
    }
}
