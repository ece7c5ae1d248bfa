//! `/status`: what this node says of itself.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use kvraft::{MemberStatus, Status};
use serde_json::{Value, json};

use super::problem::Problem;
use super::{App, json as json_response};

/// Answers from what this node knows, without asking another.
pub(crate) async fn status(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    Ok(json_response(&document(&app.map()?.status())))
}

fn document(status: &Status) -> Value {
    let failure = status.failure.clone().map(|error| Problem::from(error).document());
    json!({
        "leaderID": status.leader.as_deref().unwrap_or_default(),
        "leaderHTTP": status.leader_http.as_deref().unwrap_or_default(),
        "isLead": status.is_leader(),
        "name": status.name,
        "nodeID": status.node_id,
        "clusterID": status.cluster_id.as_deref().unwrap_or_default(),
        "role": status.role.name(),
        "term": status.term,
        "firstLog": status.first_log,
        "lastLog": status.last_log,
        "committed": status.committed,
        "applied": status.applied,
        "revision": status.revision,
        "keys": status.keys,
        "bytes": status.bytes,
        "members": status.members.iter().map(member).collect::<Vec<_>>(),
        "ready": status.ready,
        "diskFull": status.disk_full,
        "divergence": status.divergence,
        "failure": failure,
        "formatLevel": status.format_level,
        "version": status.version,
    })
}

pub(super) fn member(member: &MemberStatus) -> Value {
    json!({
        "name": member.name,
        "nodeID": member.node_id,
        "address": member.address,
        "http": member.http,
        "labels": member.labels,
        "voter": member.voter,
        "matched": member.matched,
        "link": member.link.map(|link| json!({
            "roundTripMicros": link.round_trip_micros,
            "packetsSent": link.packets_sent,
            "packetsLost": link.packets_lost,
        })),
    })
}
