//! `kvraft_node_status_json` says how the node behind a map is doing.

use std::mem::MaybeUninit;

use kvraft::{Error, MemberStatus, Status};
use serde_json::{Value, json};

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// Describes this node and its cluster as a JSON object, without asking anyone: leaderID ("" while
/// unknown), isLead, name, role, term, applied, committed, revision, keys, bytes, ready, members
/// and more, under the names that GET /status of kvraft-server has. Names may be added in any release.
///
/// json: where the text goes, as UTF-8. A NUL byte follows it that the length does not count. Free
/// it with kvraft_bytes_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
/// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_json(
    map: Option<&kvraft_map>,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::tell(json, "json", error, || Ok(object(&usable(map)?.status()).to_string()))
}

/// Gives the largest value in bytes that the cluster takes now, as this node has applied it.
///
/// bytes: where the number goes.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
/// KVRAFT_CLOSED: the map is closed, or this is a forked child.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_max_value_bytes(
    map: Option<&kvraft_map>,
    bytes: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(bytes, "bytes", error, || Ok(Some(usable(map)?.max_value_bytes()?)))
}

/// Gives the largest command in bytes that the cluster takes now, as this node has applied it: a
/// transaction with all of its keys and values.
///
/// bytes: where the number goes.
///
/// Errors: those of kvraft_max_value_bytes.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_max_command_bytes(
    map: Option<&kvraft_map>,
    bytes: Option<&mut MaybeUninit<usize>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(bytes, "bytes", error, || Ok(Some(usable(map)?.max_command_bytes()?)))
}

fn object(status: &Status) -> Value {
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
        "failure": status.failure.as_ref().map(failure),
        "formatLevel": status.format_level,
        "version": status.version,
    })
}

fn failure(error: &Error) -> Value {
    json!({ "kind": error.kind().name(), "message": error.to_string() })
}

fn member(member: &MemberStatus) -> Value {
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
