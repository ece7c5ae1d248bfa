//! Whether all members have the same state, and what to do about one that has not.

use std::mem::MaybeUninit;

use kvraft::{MemberState, Verification};
use serde_json::{Value, json};

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// Has every member note the hash over all that it replicates as of one log entry, and compares them.
/// Waits for at most 30 seconds.
///
/// json: where the result goes, as UTF-8: an object with verdict ("agreed", "diverged", "split" or
/// "unknown"), revision, diverged (names) and members. A NUL byte follows it that the length does not
/// count. Free it with kvraft_bytes_free.
///
/// Errors: those of kvraft_put. That states differ is none.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_verify(
    map: Option<&kvraft_map>,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::tell(json, "json", error, || Ok(object(&usable(map)?.verify()?).to_string()))
}

/// Has this member throw its state away and fetch that of another one: after KVRAFT_CORRUPT was read,
/// or when it is the wrong one of a split. Waits for at most ten minutes; it goes on beyond that.
///
/// KVRAFT_REFUSED: it is the only member, or a client.
/// KVRAFT_UNAVAILABLE: not done in time.
/// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED, KVRAFT_STORAGE.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_refill(
    map: Option<&kvraft_map>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.refill()?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

fn object(verification: &Verification) -> Value {
    json!({
        "verdict": verification.verdict().name(),
        "revision": verification.revision,
        "diverged": verification.diverged().map(|member| &member.name).collect::<Vec<_>>(),
        "members": verification.members.iter().map(state).collect::<Vec<_>>(),
    })
}

fn state(member: &MemberState) -> Value {
    json!({
        "name": member.name,
        "nodeID": member.node_id,
        "voter": member.voter,
        "stateHash": member.state_hash,
        "failure": member.failure,
    })
}
