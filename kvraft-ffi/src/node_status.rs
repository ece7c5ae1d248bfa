//! `kvraft_node_status` is what a node says of itself, field by field.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ptr;

use kvraft::{MemberStatus, Status};

use crate::boundary;
use crate::error::{c_text, kvraft_error};
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// What a node says of itself at one moment. It never changes: any number of threads may read it, and
/// its texts live as long as it.
#[derive(Debug)]
pub struct kvraft_node_status {
    status: Status,
    name: CString,
    leader: CString,
    role: CString,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    name: CString,
    node_id: CString,
    address: CString,
    http: CString,
    voter: bool,
    matched: u64,
}

impl Member {
    fn new(member: &MemberStatus) -> Self {
        Self {
            name: c_text(&member.name),
            node_id: c_text(&member.node_id),
            address: c_text(&member.address),
            http: c_text(&member.http),
            voter: member.voter,
            matched: member.matched.unwrap_or(0),
        }
    }
}

/// One member of the cluster. Its texts live as long as the status that shows it.
#[derive(Debug)]
#[repr(C)]
pub struct kvraft_member {
    /// The user's word for it.
    pub name: *const c_char,
    /// 16 hexadecimal digits, born with its data directory.
    pub node_id: *const c_char,
    /// host:port of its QUIC endpoint; "" if it has none.
    pub address: *const c_char,
    /// The base URL of its HTTP interface; "" if it advertises none.
    pub http: *const c_char,
    /// Whether it votes.
    pub voter: bool,
    /// Index of the last log entry that it is known to have. Only the leader knows it; 0 elsewhere.
    pub matched: u64,
}

impl Default for kvraft_member {
    fn default() -> Self {
        Self {
            name: ptr::null(),
            node_id: ptr::null(),
            address: ptr::null(),
            http: ptr::null(),
            voter: false,
            matched: 0,
        }
    }
}

impl From<&Member> for kvraft_member {
    fn from(member: &Member) -> Self {
        Self {
            name: member.name.as_ptr(),
            node_id: member.node_id.as_ptr(),
            address: member.address.as_ptr(),
            http: member.http.as_ptr(),
            voter: member.voter,
            matched: member.matched,
        }
    }
}

/// Takes the status of the node behind a map, without asking anyone. kvraft_node_status_json tells
/// more.
///
/// status: where it goes; free it with kvraft_node_status_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
/// KVRAFT_CLOSED: this is a forked child, and the node is the parent's.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_new(
    map: Option<&kvraft_map>,
    status: Option<&mut MaybeUninit<Option<Box<kvraft_node_status>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(status, "status", error, || {
        let status = usable(map)?.status();
        Ok(kvraft_node_status {
            name: c_text(&status.name),
            leader: c_text(status.leader.as_deref().unwrap_or_default()),
            role: c_text(status.role.name()),
            members: status.members.iter().map(Member::new).collect(),
            status,
        })
    })
}

/// Returns the name of this node; NULL if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_name(status: Option<&kvraft_node_status>) -> *const c_char {
    status.map_or(ptr::null(), |this| this.name.as_ptr())
}

/// Returns the name of the leader; "" while unknown; NULL if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_leader(status: Option<&kvraft_node_status>) -> *const c_char {
    status.map_or(ptr::null(), |this| this.leader.as_ptr())
}

/// Returns what the node does now: "leader", "follower", "candidate", "learner", "client" or
/// "stopped"; NULL if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_role(status: Option<&kvraft_node_status>) -> *const c_char {
    status.map_or(ptr::null(), |this| this.role.as_ptr())
}

/// Returns whether this node leads; false if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_is_leader(status: Option<&kvraft_node_status>) -> bool {
    boundary::ask(status, |this| this.status.is_leader())
}

/// Returns whether this node has recovered and knows a leader; false if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_is_ready(status: Option<&kvraft_node_status>) -> bool {
    boundary::ask(status, |this| this.status.ready)
}

/// Returns the term of the newest leader or candidate that this node has seen; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_term(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.term)
}

/// Returns the index of the last entry applied here; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_applied(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.applied)
}

/// Returns the index of the last entry known to be committed; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_committed(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.committed)
}

/// Returns the revision of the last entry applied here; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_revision(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.revision)
}

/// Returns how many keys the map has, as applied here; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_keys(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.keys)
}

/// Returns how many bytes all keys and values have, as applied here; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_bytes(status: Option<&kvraft_node_status>) -> u64 {
    boundary::ask(status, |this| this.status.bytes)
}

/// Returns how many members the cluster has; 0 if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_member_count(status: Option<&kvraft_node_status>) -> usize {
    boundary::ask(status, |this| this.members.len())
}

/// Shows one member; it lives as long as the status.
///
/// index: counts from 0, in the order of the names.
/// member: where it goes.
///
/// KVRAFT_NOT_FOUND: there is no member of that index.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_member(
    status: Option<&kvraft_node_status>,
    index: usize,
    member: Option<&mut MaybeUninit<kvraft_member>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(member, "member", error, || {
        Ok(boundary::required(status, "status")?.members.get(index).map(Into::into))
    })
}

/// Frees a status. Does nothing if status is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_node_status_free(status: Option<Box<kvraft_node_status>>) {
    boundary::release(|| status);
}
