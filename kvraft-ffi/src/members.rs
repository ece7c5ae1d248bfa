//! The membership: who votes, who leads, who goes. Any member takes these calls, and any client.

use std::mem::MaybeUninit;

use crate::boundary::{self, LentText};
use crate::error::kvraft_error;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;

/// Gives a learner its vote, once it has caught up. Nothing changes if it has one. Waits for at most
/// 30 seconds.
///
/// name: the member, as UTF-8 with a NUL byte at its end.
///
/// KVRAFT_REFUSED: the name is unknown, the learner has not caught up, a change is under way, or this
/// one would lose the quorum; the message says which.
/// KVRAFT_UNAVAILABLE: nothing was changed in time.
/// KVRAFT_INDETERMINATE: the change may go on; asking again is safe.
/// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_promote(
    map: Option<&kvraft_map>,
    name: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.promote(name.text("name")?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Takes a voter its vote; it goes on to replicate. A leader hands over first. Nothing changes if it
/// has none.
///
/// name: as for kvraft_promote.
///
/// Errors: those of kvraft_promote; KVRAFT_REFUSED also for the only voter.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_demote(
    map: Option<&kvraft_map>,
    name: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.demote(name.text("name")?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Lets a member go, dead or alive. A leader hands over first. The node notices, and refuses all
/// calls from then on.
///
/// name: as for kvraft_promote.
///
/// Errors: those of kvraft_demote.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_remove_member(
    map: Option<&kvraft_map>,
    name: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.remove_member(name.text("name")?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Has another voter lead. No write fails for it.
///
/// to: the voter, as UTF-8 with a NUL byte at its end; NULL takes the one that is closest to the
/// leader.
///
/// Errors: those of kvraft_promote; KVRAFT_REFUSED also for a learner, or without another voter.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_transfer_leadership(
    map: Option<&kvraft_map>,
    to: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.transfer_leadership(to.optional("to")?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Lets voters go, one safe step after the other, until so many are left: those whose names come last
/// go first. kvraft_node_status_json shows how far it is; asking again goes on.
///
/// voters: at least 1.
///
/// Errors: those of kvraft_demote; KVRAFT_INVALID_ARGUMENT also for 0.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_shrink(
    map: Option<&kvraft_map>,
    voters: u32,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        usable(map)?.shrink(voters)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}
