//! `Registry` is what a node remembers about who is who: itself, its cluster, the peers it met.
//!
//! It lives in the log environment, in one line with votes and entries. Every change is durable
//! before it is answered.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::{BufMut, Bytes, BytesMut};

use super::dir::{Ballast, is_full};
use super::generation::StateOrigin;
use super::lock;
use super::log::LogStore;
use super::log_disk::{Batch, LogDisk, LogRead, Record, decode_record, read_record};
use crate::codec::{Decoded, Reader, Writer};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::identity::{Claim, HexId, Identity};

/// What the log environment held when it was opened.
#[derive(Debug)]
pub(crate) struct Remembered {
    identity: Option<Identity>,
    memory: Memory,
    /// Whether there is a vote or a log, which no directory has before its identity.
    used: bool,
}

/// The highest start of a peer that this node has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PeerStart {
    start: u64,
    nonce: u64,
}

#[derive(Debug, Default)]
struct Memory {
    cluster: Option<u128>,
    claim: Option<Claim>,
    peers: HashMap<u64, PeerStart>,
}

/// The registry of an open node. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    identity: Identity,
    memory: Mutex<Memory>,
    log: LogStore,
}

impl Remembered {
    pub(crate) fn read(disk: &impl LogRead) -> Result<Self> {
        let peers = disk.peers()?.into_iter().map(|(node_id, body)| {
            Ok((node_id, decode_record(Record::Peer(node_id), body, read_peer)?))
        });
        let memory = Memory {
            cluster: read_record(disk, Record::Cluster, Reader::u128)?,
            claim: read_record(disk, Record::Claim, Claim::decode)?,
            peers: peers.collect::<Result<_>>()?,
        };
        let identity = read_record(disk, Record::Identity, read_identity)?;
        let used = disk.record(Record::Vote)?.is_some() || disk.outline()?.last.is_some();
        Ok(Self { identity, memory, used })
    }

    /// Returns who this node is from now on: the stored identity at its next start, or a new one.
    pub(crate) fn next_identity(
        &self,
        name: &str,
        dir: &Path,
        environment: &Environment,
    ) -> Result<Identity> {
        let random = || {
            environment.random_u64().map_err(|error| {
                Error::storage("cannot draw an id for this node").with_source(error)
            })
        };
        let (node_id, start) = match &self.identity {
            Some(stored) if stored.name == name => (stored.node_id, stored.start + 1),
            Some(stored) => return Err(wrong_name(stored, name, dir)),
            None if self.used => {
                return Err(Error::corrupt(format!(
                    "the log in {} has lost the identity of its node: move the data directory \
                     away and let this node join again under a new node id",
                    dir.display()
                )));
            }
            None => (random()?, 1),
        };
        Ok(Identity { name: name.to_owned(), node_id, start, nonce: random()? })
    }

    /// Fails unless the state belongs to this log. A directory whose birth was cut short has a
    /// state and no identity here yet: `identity` then takes over that state's node id.
    pub(crate) fn settle_owner(
        &self,
        identity: &mut Identity,
        owner: &StateOrigin,
        dir: &Path,
    ) -> Result<()> {
        let at = dir.display();
        if self.identity.is_none() {
            if owner.applied {
                return Err(Error::refused(format!(
                    "the data directory {at} holds the state of node {} without its log, so its \
                     votes are unknown: move the directory away and let this node join again \
                     under a new node id",
                    HexId(owner.node_id)
                )));
            }
            identity.node_id = owner.node_id;
        } else if owner.fresh {
            return Err(Error::refused(format!(
                "the data directory {at} holds the log of node {} without its state: restore the \
                 directory whole, or move it away and let this node join again under a new node id",
                HexId(identity.node_id)
            )));
        }
        if owner.node_id != identity.node_id {
            return Err(Error::refused(format!(
                "the data directory {at} mixes two nodes: its log is of {}, its state of {}. \
                 Restore the directory whole, or move it away and let this node join again",
                HexId(identity.node_id),
                HexId(owner.node_id)
            )));
        }
        match (self.memory.cluster, owner.cluster_id) {
            (Some(log), Some(state)) if log != state => Err(Error::refused(format!(
                "the data directory {at} mixes two clusters: its log is of {log:032x}, its state \
                 of {state:032x}. Restore the directory whole, or move it away"
            ))),
            _ => Ok(()),
        }
    }

    /// Makes `identity` durable: the last step of a birth, and of every start.
    pub(crate) fn write_identity(
        disk: &mut impl LogDisk,
        identity: &Identity,
        ballast: &dyn Ballast,
    ) -> Result<()> {
        let mut body = BytesMut::new();
        put_identity(&mut body, identity);
        let records = [(Record::Identity, body.freeze())].into();
        let batch = Batch { records, ..Batch::default() };
        let mut written = disk.write(&batch);
        if written.as_ref().is_err_and(is_full) {
            // A full disk must not keep a node from starting: once it runs, deletes make room.
            ballast.release();
            written = disk.write(&batch);
        }
        written.and_then(|_| disk.sync()).map_err(|error| {
            Error::storage("cannot write the identity of this node: check the disk and its space")
                .with_source(error)
        })
    }
}

impl Registry {
    pub(crate) fn new(remembered: Remembered, identity: Identity, log: LogStore) -> Self {
        let memory = Mutex::new(remembered.memory);
        Self(Arc::new(Shared { identity, memory, log }))
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Returns the cluster that this node belongs to for good.
    pub(crate) fn cluster_id(&self) -> Option<u128> {
        lock(&self.0.memory).cluster
    }

    /// Returns the claim that this node has granted.
    pub(crate) fn claim(&self) -> Option<Claim> {
        lock(&self.0.memory).claim.clone()
    }

    /// Binds this node to a cluster for good; durable when it returns.
    ///
    /// # Cancel safety
    /// The binding may happen although nobody hears of it.
    pub(crate) async fn settle_cluster(&self, cluster_id: u128) -> Result<()> {
        let change = {
            let mut memory = lock(&self.0.memory);
            match memory.cluster {
                Some(known) if known == cluster_id => None,
                Some(known) => return Err(other_cluster(known, cluster_id)),
                None => {
                    let body = Bytes::copy_from_slice(&cluster_id.to_be_bytes());
                    let durable = self.0.log.put(Record::Cluster, body)?;
                    memory.cluster = Some(cluster_id);
                    Some(durable)
                }
            }
        };
        self.settled(change).await
    }

    /// Grants a claim, durably, or says why another one stands.
    ///
    /// # Cancel safety
    /// The claim may be granted although nobody hears of it; asking again is answered alike.
    pub(crate) async fn grant(&self, claim: &Claim) -> Result<()> {
        let change = {
            let mut memory = lock(&self.0.memory);
            if memory.claim.as_ref() == Some(claim) {
                None
            } else {
                self.check_claim(&memory, claim)?;
                let mut body = BytesMut::new();
                claim.encode(&mut body);
                let durable = self.0.log.put(Record::Claim, body.freeze())?;
                memory.claim = Some(claim.clone());
                Some(durable)
            }
        };
        self.settled(change).await
    }

    /// Admits a peer at this start, or says that it is a copy; durable when it returns.
    ///
    /// # Cancel safety
    /// The start may be remembered although nobody hears of it.
    pub(crate) async fn admit_peer(&self, node_id: u64, start: u64, nonce: u64) -> Result<()> {
        if node_id == self.0.identity.node_id {
            if nonce == self.0.identity.nonce {
                // This node itself, met at a name that stands for all.
                return Ok(());
            }
            return Err(copied(node_id, "this very node runs under that id"));
        }
        let change = {
            let mut memory = lock(&self.0.memory);
            match memory.peers.get(&node_id) {
                Some(seen) if start < seen.start => {
                    let why = format!("it comes with start {start} after start {}", seen.start);
                    return Err(copied(node_id, &why));
                }
                Some(seen) if start == seen.start && nonce != seen.nonce => {
                    let why = format!("two processes come with start {start}");
                    return Err(copied(node_id, &why));
                }
                Some(seen) if start == seen.start => None,
                Some(_) | None => {
                    let seen = PeerStart { start, nonce };
                    let mut body = BytesMut::new();
                    put_peer(&mut body, seen);
                    let durable = self.0.log.put(Record::Peer(node_id), body.freeze())?;
                    memory.peers.insert(node_id, seen);
                    Some(durable)
                }
            }
        };
        self.settled(change).await
    }

    /// Waits for a change, or for an equal one that another call may still be waiting for.
    async fn settled(&self, change: Option<impl Future<Output = Result<()>>>) -> Result<()> {
        match change {
            Some(durable) => durable.await,
            None => self.0.log.flushed().await,
        }
    }

    fn check_claim(&self, memory: &Memory, claim: &Claim) -> Result<()> {
        if memory.cluster.is_some() || self.0.log.last().is_some() {
            return Err(Error::refused(
                "this node belongs to a cluster already and grants no claim: let the claimant join \
                 that cluster",
            ));
        }
        let own = &self.0.identity;
        match claim.members.iter().find(|member| member.record.name == own.name) {
            None => {
                return Err(Error::refused(format!(
                    "the claim of {:?} does not list this node, {:?}: start all founding members \
                     with the same list",
                    claim.claimant, own.name
                )));
            }
            Some(member) if member.node_id != own.node_id => {
                return Err(Error::refused(format!(
                    "the claim of {:?} lists {:?} as node {}, but its directory is of node {}: ask \
                     for its node id again",
                    claim.claimant,
                    own.name,
                    HexId(member.node_id),
                    HexId(own.node_id)
                )));
            }
            Some(_) => {}
        }
        match &memory.claim {
            Some(granted) => check_replacement(granted, claim),
            None => Ok(()),
        }
    }
}

/// Allows a claim that differs from the granted one by new node ids only: members of the same
/// names that lost their disks before the cluster was founded.
fn check_replacement(granted: &Claim, claim: &Claim) -> Result<()> {
    let differ = |what: &str, old: String, new: String| {
        Err(Error::refused(format!(
            "this node has granted another claim: its {what} was {old}, now it is {new}. Start all \
             founding members with the same settings; to give the old claim up, move the data \
             directories of all members away"
        )))
    };
    if granted.claimant != claim.claimant {
        return differ("claimant", granted.claimant.clone(), claim.claimant.clone());
    }
    let (old, new) = (list(granted), list(claim));
    if old != new {
        return differ("member list", old, new);
    }
    if !granted.settings.agree_with(&claim.settings) {
        let (old, new) = (format!("{:?}", granted.settings), format!("{:?}", claim.settings));
        return differ("settings", old, new);
    }
    let reborn = claimant_id(granted) != claimant_id(claim);
    if granted.cluster_id != claim.cluster_id && !reborn {
        let (old, new) = (granted.cluster_id, claim.cluster_id);
        return differ("cluster id", format!("{old:032x}"), format!("{new:032x}"));
    }
    Ok(())
}

fn list(claim: &Claim) -> String {
    let lines = claim
        .members
        .iter()
        .map(|member| format!("{}={}", member.record.name, member.record.address));
    lines.collect::<Vec<_>>().join(",")
}

fn claimant_id(claim: &Claim) -> Option<u64> {
    let claimant = claim.members.iter().find(|member| member.record.name == claim.claimant);
    claimant.map(|member| member.node_id)
}

fn wrong_name(stored: &Identity, name: &str, dir: &Path) -> Error {
    Error::refused(format!(
        "the data directory {} belongs to node {:?}, not to {name:?}: open it under its own name, \
         or give {name:?} a directory of its own",
        dir.display(),
        stored.name
    ))
}

fn other_cluster(known: u128, other: u128) -> Error {
    Error::refused(format!(
        "this node belongs to cluster {known:032x}, not to {other:032x}: check the addresses, or \
         move its data directory away to let it join the other cluster"
    ))
}

fn copied(node_id: u64, why: &str) -> Error {
    Error::refused(format!(
        "node {} runs on a cloned or rolled-back data directory ({why}): stop the copy, move its \
         data directory away, and let it join again under a new node id",
        HexId(node_id)
    ))
}

pub(super) fn put_identity(out: &mut BytesMut, identity: &Identity) {
    out.put_bytes_with_len(identity.name.as_bytes());
    out.put_u64(identity.node_id);
    out.put_u64(identity.start);
    out.put_u64(identity.nonce);
}

pub(super) fn read_identity(reader: &mut Reader) -> Decoded<Identity> {
    Ok(Identity {
        name: reader.string()?,
        node_id: reader.u64()?,
        start: reader.u64()?,
        nonce: reader.u64()?,
    })
}

fn put_peer(out: &mut BytesMut, peer: PeerStart) {
    out.put_u64(peer.start);
    out.put_u64(peer.nonce);
}

pub(super) fn read_peer(reader: &mut Reader) -> Decoded<PeerStart> {
    Ok(PeerStart { start: reader.u64()?, nonce: reader.u64()? })
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
