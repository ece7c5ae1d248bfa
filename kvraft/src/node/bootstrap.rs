//! Bootstrap: how nodes without a cluster found exactly one.
//!
//! The first name asks all listed nodes for their grant, each grants one claim durably, and only
//! with every grant the cluster begins. A node that meets a cluster that exists never founds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use openraft::errors::{InitializeError, RaftError};

use super::core::Core;
use super::greet::may_pass;
use crate::command::Settings;
use crate::config::CheckedConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Claim, ClaimedMember};
use crate::proposal::{Backoff, peer};
use crate::raft::Member;
use crate::transport::{CallError, Hello, Peer, Request, Response, Transport};

/// How long one node may take to say who it is.
pub(super) const HELLO_PATIENCE: Duration = Duration::from_secs(2);
/// How often a node that has no cluster says in its log what it waits for.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

impl Core {
    /// Works until this node belongs to a cluster, or is told that it never will.
    pub(super) async fn find_cluster(self: Arc<Self>) {
        let (mut backoff, mut told) = (Backoff::slow(), None);
        while !self.raft_has_members() && self.life.check().is_ok() {
            let joins = !self.config.join.is_empty();
            let found = if joins { self.try_to_join().await } else { self.try_to_found().await };
            match found {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Refused => return self.life.fail(error),
                Err(error) => {
                    if told
                        .is_none_or(|at| self.now().saturating_duration_since(at) > TELL_INTERVAL)
                    {
                        tracing::info!("has no cluster yet: {error}");
                        told = Some(self.now());
                    }
                    self.set_obstacle(error.to_string());
                }
            }
            let now = self.now();
            backoff.pause(now + HELLO_PATIENCE, now).await;
        }
        self.set_obstacle("");
    }

    async fn try_to_found(&self) -> Result<()> {
        let met = match &self.config.discovery {
            Some(discovery) => {
                let met = self.discover(discovery).await?.into_iter();
                met.map(|(name, hello)| (name, Ok(hello))).collect()
            }
            None => self.meet_members().await,
        };
        self.join_one_that_exists(&met).await?;
        // Founding takes them all; joining does not.
        let hellos = all_met(met)?;
        if let Some(claimant) = hellos.keys().next().filter(|first| **first < self.config.name) {
            return Err(Error::unavailable(format!(
                "waiting for {claimant}, the first name, to found the cluster"
            )));
        }
        let claim = self.claim(&hellos)?;
        self.registry.grant(&claim).await?;
        self.collect_grants(&claim).await?;
        self.initialise(&claim).await
    }

    /// Asks every other listed node who it is.
    async fn meet_members(&self) -> BTreeMap<String, Result<Hello>> {
        let Some(transport) = &self.transport else { return BTreeMap::new() };
        let others = self.config.members.iter().filter(|(name, _)| **name != self.config.name);
        let met = join_all(others.map(async |(name, address)| {
            (name.clone(), self.meet(transport, name, address).await)
        }));
        met.await.into_iter().collect()
    }

    async fn meet(&self, transport: &Transport, name: &str, address: &str) -> Result<Hello> {
        let deadline = self.now() + HELLO_PATIENCE;
        let hello =
            transport.hello_of(address, deadline).await.map_err(may_pass).map_err(|error| {
                let doing = format!("waiting for {name} at {address}");
                if error.kind() == ErrorKind::Refused {
                    return error.context(doing);
                }
                Error::unavailable(format!("{doing}: {error}"))
            })?;
        if hello.identity.name != name {
            return Err(Error::unavailable(format!(
                "members says that {name} is at {address}, and {} answers there; correct members",
                hello.identity.name
            )));
        }
        Ok(hello)
    }

    /// Joins a cluster that exists instead of founding another one: by any member of it, since some
    /// may be gone for good, or know no leader.
    async fn join_one_that_exists(&self, met: &BTreeMap<String, Result<Hello>>) -> Result<()> {
        let mut failure = None;
        for (name, hello) in met {
            let hello = match hello {
                Ok(hello) if hello.initialised => hello,
                Err(error) if error.kind() == ErrorKind::Refused => return Err(error.clone()),
                Ok(_) | Err(_) => continue,
            };
            let address = self.address_of(name, hello);
            let peer = Peer { node_id: Some(hello.identity.node_id), name: name.clone(), address };
            let error = match self.join_by(&peer).await {
                Ok(()) => Error::unavailable(format!(
                    "waiting for the leader of the cluster that {name} knows"
                )),
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    failure = Some(error);
                    continue;
                }
                Err(error) => error,
            };
            return Err(error);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Makes the claim of this node, under the cluster id that it has claimed before, if it has.
    fn claim(&self, hellos: &BTreeMap<String, Hello>) -> Result<Claim> {
        let earlier = self.registry.claim().filter(|claim| claim.claimant == self.config.name);
        let cluster_id = match earlier {
            Some(claim) => claim.cluster_id,
            None => self
                .config
                .environment
                .random_u128()
                .map_err(|error| Error::internal("no random cluster id").with_source(error))?,
        };
        let others = hellos.iter().map(|(name, hello)| {
            // The list says where a member is; the member says what else is to be recorded of it.
            let address = self.address_of(name, hello);
            let record = Member { name: name.clone(), address, ..hello.record.clone() };
            ClaimedMember { node_id: hello.identity.node_id, record }
        });
        let port = self.transport.as_ref().map_or(0, |transport| transport.local_addr().port());
        let own = ClaimedMember { node_id: self.node_id(), record: own_record(&self.config, port) };
        let mut members: Vec<_> = others.chain([own]).collect();
        members.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        // The first entry is to be one that every founder can write and read.
        let levels = hellos.values().map(|hello| hello.format_level);
        let own = self.config.settings;
        let format_level = levels.fold(own.format_level, u16::min);
        Ok(Claim {
            cluster_id,
            claimant: self.config.name.clone(),
            members,
            settings: Settings { format_level, ..own },
        })
    }

    /// Returns where a founder is: as it is listed, else as it says.
    fn address_of(&self, name: &str, hello: &Hello) -> String {
        let listed = self.config.members.get(name).cloned();
        listed.unwrap_or_else(|| hello.record.address.clone())
    }

    async fn collect_grants(&self, claim: &Claim) -> Result<()> {
        let Some(transport) = &self.transport else { return Ok(()) };
        let others = claim.members.iter().filter(|member| member.node_id != self.node_id());
        try_join_all(others.map(async |member| {
            let peer = peer(member.node_id, &member.record);
            let request = Request::Claim(claim.clone());
            let doing = format!("waiting for the grant of {}", member.record.name);
            match transport.request(&peer, request, self.now() + HELLO_PATIENCE).await {
                Ok(Response::ClaimGranted) => Ok(()),
                Ok(Response::Failed(failure)) => {
                    Err(Error::unavailable(format!("{doing}: {}", failure.message)))
                }
                Ok(_) => Err(Error::unavailable(format!("{doing}: it answered something else"))),
                Err(CallError::Unsent(error) | CallError::Lost(error)) => {
                    Err(Error::unavailable(format!("{doing}: {error}")))
                }
            }
        }))
        .await?;
        Ok(())
    }

    async fn initialise(&self, claim: &Claim) -> Result<()> {
        let members: BTreeMap<u64, Member> =
            claim.members.iter().map(|member| (member.node_id, member.record.clone())).collect();
        match self.raft.initialize(members).await {
            // Not allowed: a peer was quicker, and this node has its log already.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => {
                Err(Error::internal("the cluster cannot be initialised").with_source(error))
            }
        }
    }

    /// Compares a claim with this node's own settings: nodes that were told different things must
    /// not found a cluster together.
    pub(super) fn check_claim(&self, claim: &Claim) -> Result<()> {
        let own: Vec<&str> = self.config.members.keys().map(String::as_str).collect();
        let theirs: Vec<&str> = claim.members.iter().map(|m| m.record.name.as_str()).collect();
        let differ = |what: &str, theirs: &dyn std::fmt::Debug, own: &dyn std::fmt::Debug| {
            Err(Error::refused(format!(
                "{what} differ: {} was started with {theirs:?}, {} with {own:?}; start all with the same",
                claim.claimant, self.config.name
            )))
        };
        let fits = match &self.config.discovery {
            Some(discovery) => {
                theirs.len() == discovery.expect && theirs.contains(&self.config.name.as_str())
            }
            None => own == theirs,
        };
        if !fits {
            return differ("members", &theirs, &own);
        }
        let known = self.config.environment.versions.format_level;
        if claim.settings.format_level > known {
            return Err(Error::refused(format!(
                "the claim of {} is of format level {}, and {} knows {known}; it claims again with that",
                claim.claimant, claim.settings.format_level, self.config.name
            )));
        }
        if !self.config.settings.agree_with(&claim.settings) {
            return differ("settings", &claim.settings, &self.config.settings);
        }
        if theirs.first() != Some(&claim.claimant.as_str()) {
            return differ("claimants", &claim.claimant, &theirs.first());
        }
        Ok(())
    }
}

/// Returns who was met, or who is missing, each by name.
fn all_met(met: BTreeMap<String, Result<Hello>>) -> Result<BTreeMap<String, Hello>> {
    let (mut hellos, mut missing) = (BTreeMap::new(), Vec::new());
    for (name, hello) in met {
        match hello {
            Ok(hello) => drop(hellos.insert(name, hello)),
            Err(error) => missing.push(error.to_string()),
        }
    }
    if missing.is_empty() { Ok(hellos) } else { Err(Error::unavailable(missing.join("; "))) }
}

/// What the membership is to record of this node; port 0 stands for the bound one.
pub(super) fn own_record(config: &CheckedConfig, bound_port: u16) -> Member {
    let advertised = config.endpoint.as_ref().map(|endpoint| endpoint.advertise.as_str());
    let address = match advertised.map(|address| (address, address.rsplit_once(':'))) {
        Some((_, Some((host, "0")))) => format!("{host}:{bound_port}"),
        Some((address, _)) => address.to_owned(),
        None => String::new(),
    };
    Member {
        name: config.name.clone(),
        address,
        http: config.advertise_http.clone(),
        labels: config.labels.clone(),
        promote: false,
    }
}
