//! `View` is the state as of one applied log id: what every read goes to.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use crate::command::{SessionId, Settings};
use crate::error::Result;
use crate::raft::{LogId, SnapshotMeta, StoredMembership};
use crate::storage::buffer::{Buffer, KeyRange, Slot};
use crate::storage::session::Sessions;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded, Order};
use crate::storage::state_record::{Founding, Head, Meta, Record};

/// A consistent state that never changes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) layers: Layers,
    pub(super) meta: Meta,
    pub(super) sessions: Sessions,
}

/// The changes of the write buffer over the environment: what is above hides what is below.
#[derive(Clone)]
pub(super) struct Layers {
    pub(super) active: Buffer,
    /// What the checkpoint thread is writing.
    pub(super) frozen: Option<Buffer>,
    pub(super) disk: Arc<dyn DiskView>,
}

/// Which part of a range a caller wants.
#[derive(Debug, Clone)]
pub(crate) struct PageRequest {
    pub(crate) range: KeyRange,
    pub(crate) order: Order,
    pub(crate) limits: PageLimits,
    /// Leaves the values empty.
    pub(crate) keys_only: bool,
}

/// How much one page may hold; its first entry is there in any case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageLimits {
    pub(crate) entries: usize,
    /// Keys and values together.
    pub(crate) bytes: usize,
}

/// One part of a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PageRead {
    pub(crate) items: Vec<(Bytes, Record)>,
    /// Whether the range has entries behind the last item.
    pub(crate) more: bool,
}

impl View {
    pub(super) fn new(loaded: Loaded) -> Self {
        let Loaded { meta, sessions, view } = loaded;
        let layers = Layers { active: Buffer::default(), frozen: None, disk: view };
        Self { layers, meta, sessions }
    }

    /// Returns the state that a checkpoint left on the disk.
    pub(super) fn of_checkpoint(checkpoint: Checkpoint, disk: Arc<dyn DiskView>) -> Self {
        let Checkpoint { sessions, meta, .. } = checkpoint;
        Self::new(Loaded { meta, sessions, view: disk })
    }

    /// Returns what a snapshot of this view covers.
    pub(crate) fn snapshot_meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.meta.applied,
            last_membership: (*self.meta.membership).clone(),
        }
    }

    /// Returns what is under a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Record>> {
        match self.layers.slot(key) {
            Some(Slot::Put(record)) => Ok(Some(record.clone())),
            Some(Slot::Tombstone) => Ok(None),
            None => self.layers.disk.record(key),
        }
    }

    /// Reads one page of a range; the next one starts behind its last key.
    pub(crate) fn page(&self, request: &PageRequest) -> Result<PageRead> {
        let Some(range) = proper(&request.range) else { return Ok(PageRead::default()) };
        let order = request.order;
        let mut page = PageWriter::new(request);
        let mut overlay = self.layers.overlay(&range, order);
        self.layers.disk.scan(&range, order, &mut |key, raw| {
            while let Some((above, slot)) = overlay.next_up_to(key) {
                let same = above == key;
                if page.push_slot(above, slot).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if same {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            page.push_raw(key, raw)
        })?;
        while !page.read.more
            && let Some((key, slot)) = overlay.next()
        {
            if page.push_slot(key, slot).is_break() {
                break;
            }
        }
        Ok(page.read)
    }

    /// Returns how many entries there are.
    pub(crate) const fn len(&self) -> u64 {
        self.meta.len
    }

    /// Returns how many bytes their keys and values have.
    pub(crate) const fn bytes(&self) -> u64 {
        self.meta.bytes
    }

    pub(crate) const fn applied(&self) -> Option<LogId> {
        self.meta.applied
    }

    /// Returns the revision of the last applied entry; 0 before the cluster was founded.
    pub(crate) fn revision(&self) -> u64 {
        let base = self.meta.founding.as_ref().map_or(0, |founding| founding.revision_base);
        self.meta.applied.map_or(0, |log_id| base.saturating_add(log_id.index))
    }

    /// Returns the settings that all nodes share, once the cluster was founded.
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.meta.founding.map(|founding| founding.settings)
    }

    /// Returns which cluster this is, once it was founded.
    pub(crate) fn cluster_id(&self) -> Option<u128> {
        self.meta.founding.map(|founding| founding.cluster_id)
    }

    /// Returns how the cluster was founded, if it was.
    pub(crate) const fn founding(&self) -> Option<Founding> {
        self.meta.founding
    }

    pub(crate) const fn cluster_ms(&self) -> u64 {
        self.meta.cluster_ms
    }

    pub(crate) const fn wall_ms(&self) -> u64 {
        self.meta.wall_ms
    }

    pub(crate) fn membership(&self) -> &StoredMembership {
        &self.meta.membership
    }

    /// Returns one number over all replicated state: entries, sessions with their outcomes, and
    /// everything else by its checksum. Nodes at one applied id have the same.
    pub(crate) fn state_hash(&self) -> u64 {
        self.meta.state_hash()
    }

    /// Returns whether a session is open.
    pub(crate) fn has_session(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some()
    }

    /// Returns at most `limit` sessions to end, each with the deadline that has passed.
    pub(crate) fn expired_sessions(&self, now_ms: u64, limit: usize) -> Vec<(SessionId, u64)> {
        self.sessions.expired(now_ms, limit)
    }
}

impl Layers {
    fn slot(&self, key: &[u8]) -> Option<&Slot> {
        self.active.get(key).or_else(|| self.frozen.as_ref()?.get(key))
    }

    /// Returns what an entry says without its value, as apply needs it.
    pub(super) fn head(&self, key: &[u8]) -> Result<Option<Head>> {
        match self.slot(key) {
            Some(Slot::Put(record)) => Ok(Some(record.head())),
            Some(Slot::Tombstone) => Ok(None),
            None => self.disk.head(key),
        }
    }

    /// Returns about how much memory the buffers hold.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.active.bytes() + self.frozen.as_ref().map_or(0, Buffer::bytes)
    }

    fn overlay(&self, range: &KeyRange, order: Order) -> Overlay<'_> {
        let frozen = self.frozen.as_ref().map(|buffer| slots(buffer, range, order));
        Overlay {
            active: slots(&self.active, range, order).peekable(),
            frozen: frozen.unwrap_or_else(|| Box::new(std::iter::empty())).peekable(),
            order,
        }
    }
}

type Slots<'a> = Box<dyn Iterator<Item = (&'a Bytes, &'a Slot)> + 'a>;

fn slots<'a>(buffer: &'a Buffer, range: &KeyRange, order: Order) -> Slots<'a> {
    let slots = buffer.range(range.clone());
    match order {
        Order::Forward => Box::new(slots),
        Order::Reverse => Box::new(slots.rev()),
    }
}

/// The changes of both buffers in order, the active one's first choice.
struct Overlay<'a> {
    active: Peekable<Slots<'a>>,
    frozen: Peekable<Slots<'a>>,
    order: Order,
}

impl<'a> Overlay<'a> {
    fn next(&mut self) -> Option<(&'a Bytes, &'a Slot)> {
        let (Some((active, _)), Some((frozen, _))) = (self.active.peek(), self.frozen.peek())
        else {
            return self.active.next().or_else(|| self.frozen.next());
        };
        match compare(self.order, active, frozen) {
            Ordering::Less => self.active.next(),
            Ordering::Greater => self.frozen.next(),
            Ordering::Equal => {
                self.frozen.next();
                self.active.next()
            }
        }
    }

    /// Returns the next change that comes before `key` or is its own.
    fn next_up_to(&mut self, key: &[u8]) -> Option<(&'a Bytes, &'a Slot)> {
        let order = self.order;
        let due = |slots: &mut Peekable<Slots<'a>>| {
            slots.peek().is_some_and(|(next, _)| compare(order, next, key).is_le())
        };
        if due(&mut self.active) || due(&mut self.frozen) { self.next() } else { None }
    }
}

fn compare(order: Order, a: &[u8], b: &[u8]) -> Ordering {
    match order {
        Order::Forward => a.cmp(b),
        Order::Reverse => b.cmp(a),
    }
}

/// Collects the items of a page up to its limits.
struct PageWriter {
    read: PageRead,
    left: PageLimits,
    keys_only: bool,
}

impl PageWriter {
    fn new(request: &PageRequest) -> Self {
        Self { read: PageRead::default(), left: request.limits, keys_only: request.keys_only }
    }

    fn push_slot(&mut self, key: &Bytes, slot: &Slot) -> ControlFlow<()> {
        let Slot::Put(record) = slot else { return ControlFlow::Continue(()) };
        self.make_room(key.len(), record.value.len())?;
        let mut record = record.clone();
        if self.keys_only {
            record.value = Bytes::new();
        }
        self.read.items.push((key.clone(), record));
        ControlFlow::Continue(())
    }

    fn push_raw(&mut self, key: &[u8], raw: &[u8]) -> Result<ControlFlow<()>> {
        let (head, value) = Head::decode(key, raw)?;
        if self.make_room(key.len(), value.len()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let value = if self.keys_only { Bytes::new() } else { Bytes::copy_from_slice(value) };
        let record = Record::with_head(head, value);
        self.read.items.push((Bytes::copy_from_slice(key), record));
        Ok(ControlFlow::Continue(()))
    }

    fn make_room(&mut self, key_bytes: usize, value_bytes: usize) -> ControlFlow<()> {
        let bytes = key_bytes + if self.keys_only { 0 } else { value_bytes };
        let fits = self.left.entries > 0 && bytes <= self.left.bytes;
        if !fits && !self.read.items.is_empty() {
            self.read.more = true;
            return ControlFlow::Break(());
        }
        self.left.entries = self.left.entries.saturating_sub(1);
        self.left.bytes = self.left.bytes.saturating_sub(bytes);
        ControlFlow::Continue(())
    }
}

/// Returns the range with its empty keys written as what they mean, or `None` if no key can be
/// in it; LMDB takes no empty key, and neither tree takes a range that ends before its start.
fn proper(range: &KeyRange) -> Option<KeyRange> {
    use Bound::{Excluded, Included, Unbounded};
    let start = match &range.0 {
        Included(key) | Excluded(key) if key.is_empty() => Unbounded,
        start => start.clone(),
    };
    let end = range.1.clone();
    let possible = match (&start, &end) {
        (_, Included(end) | Excluded(end)) if end.is_empty() => false,
        (Included(start), Included(end)) => start <= end,
        (Included(start) | Excluded(start), Included(end) | Excluded(end)) => start < end,
        (Unbounded, _) | (_, Unbounded) => true,
    };
    possible.then_some((start, end))
}
