//! `DiskPressure` is the one flag that says: this disk or its map is full, let nothing grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Who raised the flag; each side clears only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PressureSide {
    Log = 1,
    State = 2,
}

/// The bit that says that the ballast was given away and has not been taken back.
const BARE: u8 = 4;

/// Shared by both environments and read by the leader before it proposes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskPressure(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    bits: AtomicU8,
    /// Bytes of freed pages that the state has, less what was logged since they were counted.
    state_room: AtomicU64,
}

impl DiskPressure {
    pub(crate) fn raise(&self, side: PressureSide) {
        self.0.bits.fetch_or(side as u8, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self, side: PressureSide) {
        self.0.bits.fetch_and(!(side as u8), Ordering::Relaxed);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.bits.load(Ordering::Relaxed) & !BARE != 0
    }

    pub(crate) fn is_raised_by(&self, side: PressureSide) -> bool {
        self.0.bits.load(Ordering::Relaxed) & side as u8 != 0
    }

    /// Notes whether the ballast is given away.
    pub(super) fn set_bare(&self, bare: bool) {
        if bare {
            self.0.bits.fetch_or(BARE, Ordering::Relaxed);
        } else {
            self.0.bits.fetch_and(!BARE, Ordering::Relaxed);
        }
    }

    /// Returns whether the ballast is given away: what is in the files is all the room there is.
    pub(crate) fn is_bare(&self) -> bool {
        self.0.bits.load(Ordering::Relaxed) & BARE != 0
    }

    /// Notes how many bytes of freed pages the state has.
    pub(super) fn set_state_room(&self, bytes: u64) {
        self.0.state_room.store(bytes, Ordering::Relaxed);
    }

    /// Counts what was logged: the next checkpoint takes about as much.
    pub(super) fn spend_state_room(&self, bytes: u64) {
        let less = |room: u64| Some(room.saturating_sub(bytes));
        let _before = self.0.state_room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(super) fn state_room(&self) -> u64 {
        self.0.state_room.load(Ordering::Relaxed)
    }
}
