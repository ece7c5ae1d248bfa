//! `Buffer` is the write buffer: the changes that are applied but not yet in the environment.

use bytes::Bytes;
use imbl::OrdMap;

use crate::command::KeyRange;
use crate::storage::erased::Erased;
use crate::storage::state_record::Record;

/// What one change left under a key.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Put(Record),
    /// The key is gone, whatever lies below says.
    Tombstone,
}

/// A persistent ordered map of changes: a clone is one pointer and never changes again.
///
/// What was erased lies below the slots: a key that is put after its range was erased is there.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffer {
    slots: OrdMap<Bytes, Slot>,
    erased: Erased,
    bytes: usize,
}

/// What the tree keeps for a slot beside key and value.
const SLOT_BYTES: usize = 128;

impl Buffer {
    /// Returns what the buffer says of a key, if it says anything.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Slot> {
        self.slots.get(key).or_else(|| self.erases(key).then_some(&Slot::Tombstone))
    }

    /// Returns whether the range of `key` was erased, its own slot aside.
    pub(super) fn erases(&self, key: &[u8]) -> bool {
        !self.erased.is_empty() && self.erased.covers(key)
    }

    pub(super) const fn erased(&self) -> &Erased {
        &self.erased
    }

    pub(super) fn insert(&mut self, key: Bytes, slot: Slot) {
        let key_bytes = key.len();
        self.bytes += weight(key_bytes, &slot);
        if let Some(old) = self.slots.insert(key, slot) {
            self.bytes -= weight(key_bytes, &old);
        }
    }

    /// Takes every key of a range away that may hold one.
    pub(super) fn erase(&mut self, range: &KeyRange) {
        let inside: Vec<_> = self.slots.range(range.clone()).map(|(key, _)| key.clone()).collect();
        for key in inside {
            if let Some(old) = self.slots.remove(&key) {
                self.bytes -= weight(key.len(), &old);
            }
        }
        self.erased.add(range);
    }

    /// Lays the changes of `newer` over these.
    pub(super) fn absorb(&mut self, newer: Self) {
        if self.slots.is_empty() && self.erased.is_empty() {
            *self = newer;
            return;
        }
        for range in newer.erased.ranges() {
            self.erase(&range);
        }
        for (key, slot) in newer.slots {
            self.insert(key, slot);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Slot)> {
        self.slots.iter()
    }

    /// Returns the slots of a range that is not empty by its bounds.
    pub(super) fn range(
        &self,
        range: KeyRange,
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Slot)> {
        self.slots.range(range)
    }

    /// Returns about how much memory the buffer holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.erased.len() * SLOT_BYTES
    }
}

fn weight(key_bytes: usize, slot: &Slot) -> usize {
    SLOT_BYTES
        + key_bytes
        + match slot {
            Slot::Put(record) => record.value.len(),
            Slot::Tombstone => 0,
        }
}
