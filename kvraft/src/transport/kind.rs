//! The number of each kind of frame, with the bound of its body and the protocol that has it.
//!
//! Numbers are append-only: one is never used again for another meaning. A body keeps its form
//! for as long as a protocol that has it is spoken; what needs another form gets another number.

use crate::command::CEILING_COMMAND_BYTES;
use crate::raft::SNAPSHOT_CHUNK_BYTES;

/// Bound of a frame that holds only numbers, names and texts.
const SMALL_BODY: usize = 64 << 10;
/// Bound of a frame that holds members: thousands of them with their labels.
const MEMBERS_BODY: usize = 4 << 20;
/// What surrounds a command in its frame.
const OVERHEAD: usize = 64 << 10;
const COMMAND_BODY: usize = CEILING_COMMAND_BYTES as usize + OVERHEAD;
/// A reader of the log gives about 1 MiB of entries at once, or one entry of any size.
const APPEND_BODY: usize = COMMAND_BODY + (8 << 20);
/// A chunk ends with the entry that fills it.
const CHUNK_BODY: usize = SNAPSHOT_CHUNK_BYTES + COMMAND_BODY;
/// What a peer may send before it is known, whatever its kind.
pub(super) const HELLO_LIMIT: usize = SMALL_BODY;
/// What an answer may be, whatever its kind.
pub(super) const RESPONSE_LIMIT: usize = COMMAND_BODY;
/// What a request or a part of a snapshot may be: as its kind says.
pub(super) const REQUEST_LIMIT: usize = APPEND_BODY;

pub(super) const HELLO: u8 = 1;
pub(super) const REFUSED: u8 = 2;
pub(super) const APPEND: u8 = 16;
pub(super) const VOTE: u8 = 17;
pub(super) const PRE_VOTE: u8 = 18;
pub(super) const TRANSFER_LEADER: u8 = 19;
pub(super) const PROPOSE: u8 = 20;
pub(super) const READ_INDEX: u8 = 21;
pub(super) const CLAIM: u8 = 22;
pub(super) const PEERS: u8 = 23;
pub(super) const STREAM_APPEND: u8 = 24;
pub(super) const SNAPSHOT: u8 = 25;
pub(super) const SNAPSHOT_CHUNK: u8 = 26;
pub(super) const SNAPSHOT_END: u8 = 27;
pub(super) const LEASE_INDEX: u8 = 28;
pub(super) const GET: u8 = 29;
pub(super) const PAGE: u8 = 30;
pub(super) const COUNT: u8 = 31;
pub(super) const LEASE: u8 = 32;
pub(super) const AWAIT_LOCK: u8 = 33;
pub(super) const SCAN: u8 = 34;
pub(super) const WATCH: u8 = 35;
pub(super) const NEXT: u8 = 36;
pub(super) const JOIN: u8 = 37;
pub(super) const CHANGE: u8 = 38;
pub(super) const SNAPSHOT_AGAIN: u8 = 39;
pub(super) const STATE_HASH: u8 = 40;
pub(super) const BACKUP: u8 = 41;
pub(super) const REFILL: u8 = 42;
pub(super) const APPENDED: u8 = 64;
pub(super) const VOTED: u8 = 65;
pub(super) const TRANSFERRED: u8 = 66;
pub(super) const PROPOSED: u8 = 67;
pub(super) const READ_INDEX_IS: u8 = 68;
pub(super) const CLAIM_GRANTED: u8 = 69;
pub(super) const PEERS_ARE: u8 = 70;
pub(super) const STREAM_APPENDED: u8 = 71;
pub(super) const SNAPSHOT_INSTALLED: u8 = 72;
pub(super) const ENTRY: u8 = 73;
pub(super) const PAGE_IS: u8 = 74;
pub(super) const COUNT_IS: u8 = 75;
pub(super) const LEASE_IS: u8 = 76;
pub(super) const LOCKED: u8 = 77;
pub(super) const CHANGES: u8 = 78;
pub(super) const JOINED: u8 = 79;
pub(super) const CHANGED: u8 = 80;
pub(super) const SNAPSHOT_HELD: u8 = 81;
pub(super) const STATE_HASH_IS: u8 = 82;
pub(super) const BACKUP_IS: u8 = 83;
pub(super) const REFILL_IS: u8 = 84;
pub(super) const CHUNK: u8 = 86;
pub(super) const FAILED: u8 = 127;

/// Returns how long a body of this kind may be, or `None` if the kind is unknown.
pub(super) const fn max_body_len(kind: u8) -> Option<usize> {
    match kind {
        HELLO | REFUSED | VOTE | PRE_VOTE | TRANSFER_LEADER | READ_INDEX | LEASE_INDEX | PEERS
        | STREAM_APPEND | SNAPSHOT_END | GET | PAGE | COUNT | LEASE | AWAIT_LOCK | SCAN | WATCH
        | NEXT | JOIN | CHANGE | JOINED | CHANGED | APPENDED | VOTED | TRANSFERRED
        | READ_INDEX_IS | CLAIM_GRANTED | STREAM_APPENDED | SNAPSHOT_INSTALLED | COUNT_IS
        | LOCKED | SNAPSHOT_HELD | STATE_HASH | STATE_HASH_IS | BACKUP | BACKUP_IS | REFILL => {
            Some(SMALL_BODY)
        }
        CLAIM | SNAPSHOT | SNAPSHOT_AGAIN | PEERS_ARE | REFILL_IS | FAILED => Some(MEMBERS_BODY),
        // What a transaction reads is bounded like what it writes, and so are pages and changes.
        PROPOSE | PROPOSED | ENTRY | PAGE_IS | LEASE_IS | CHANGES | CHUNK => Some(COMMAND_BODY),
        APPEND => Some(APPEND_BODY),
        SNAPSHOT_CHUNK => Some(CHUNK_BODY),
        _ => None,
    }
}

/// What a frame takes of the peer that gets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// The first protocol that has it.
    pub(super) protocol: u16,
    /// What a release that speaks none such cannot do.
    pub(super) what: &'static str,
}

/// Returns what a frame of this kind takes of the peer; who sends it looks here first.
pub(super) const fn since(kind: u8) -> Since {
    match kind {
        // Read by everyone, whatever is agreed on.
        HELLO | REFUSED | FAILED => Since { protocol: 0, what: "be told why" },
        STATE_HASH | STATE_HASH_IS => Since { protocol: 2, what: "compare its state with others" },
        BACKUP | BACKUP_IS => Since { protocol: 2, what: "give a backup to a client" },
        REFILL | REFILL_IS | CHUNK => Since { protocol: 2, what: "give its state to a member" },
        SNAPSHOT_AGAIN | SNAPSHOT_HELD => {
            Since { protocol: 2, what: "go on with a snapshot whose way broke off" }
        }
        // What protocol 1 has; each kind that a later one adds has a row above.
        _ => Since { protocol: 1, what: "take part in a cluster" },
    }
}
