//! Which claims to found a cluster a node grants.

use crate::error::{Error, Result};
use crate::identity::{Claim, HexId, Identity};

/// Says why the node `own` does not grant a claim: it `belongs` to a cluster already, is not what the
/// claim lists, or has granted another one.
pub(super) fn check_claim(
    claim: &Claim,
    own: &Identity,
    belongs: bool,
    granted: Option<&Claim>,
) -> Result<()> {
    if belongs {
        return Err(Error::refused(
            "this node belongs to a cluster already and grants no claim: let the claimant join \
             that cluster",
        ));
    }
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
    match granted {
        Some(granted) => check_replacement(granted, claim),
        None => Ok(()),
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
