//! `Buffer` is the write buffer: the changes that are applied but not yet in the environment.

use bytes::Bytes;
use imbl::OrdMap;

use crate::command::KeyRange;
use crate::storage::state_record::Record;

/// What one change left under a key.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Put(Record),
    /// The key is gone, whatever lies below says.
    Tombstone,
}

/// A persistent ordered map of changes: a clone is one pointer and never changes again.
#[derive(Debug, Clone, Default)]
pub(super) struct Buffer {
    slots: OrdMap<Bytes, Slot>,
    bytes: usize,
}

/// What the tree keeps for a slot beside key and value.
const SLOT_BYTES: usize = 128;

impl Buffer {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Slot> {
        self.slots.get(key)
    }

    pub(super) fn insert(&mut self, key: Bytes, slot: Slot) {
        let key_bytes = key.len();
        self.bytes += weight(key_bytes, &slot);
        if let Some(old) = self.slots.insert(key, slot) {
            self.bytes -= weight(key_bytes, &old);
        }
    }

    /// Lays the changes of `newer` over these.
    pub(super) fn absorb(&mut self, newer: Self) {
        if self.slots.is_empty() {
            *self = newer;
            return;
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
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
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
