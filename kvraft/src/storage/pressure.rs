//! `DiskPressure` is the one flag that says: this disk or its map is full, let nothing grow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Who raised the flag; each side clears only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PressureSide {
    Log = 1,
    State = 2,
}

/// Shared by both environments and read by the leader before it proposes. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskPressure(Arc<AtomicU8>);

impl DiskPressure {
    pub(crate) fn raise(&self, side: PressureSide) {
        self.0.fetch_or(side as u8, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self, side: PressureSide) {
        self.0.fetch_and(!(side as u8), Ordering::Relaxed);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn is_raised_by(&self, side: PressureSide) -> bool {
        self.0.load(Ordering::Relaxed) & side as u8 != 0
    }
}
