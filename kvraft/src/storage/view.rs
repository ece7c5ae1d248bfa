//! `View` is the state as of one applied log id: what every read goes to.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::Bytes;

use crate::command::{KeyRange, LeaseNumber, SessionId, Settings};
use crate::error::Result;
use crate::raft::{LogId, SnapshotMeta, StoredMembership};
use crate::storage::buffer::{Buffer, Slot};
use crate::storage::lock::LockPlace;
use crate::storage::state_disk::{Checkpoint, DiskView, Loaded, Order};
use crate::storage::state_record::{Founding, Head, Meta, Record};
use crate::storage::tables::{TableCounts, Tables};

/// A consistent state that never changes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    pub(super) layers: Layers,
    pub(super) meta: Meta,
    pub(super) tables: Tables,
}

/// The changes of the write buffer over the environment: what is above hides what is below.
#[derive(Clone)]
pub(super) struct Layers {
    pub(super) active: Buffer,
    /// What the checkpoint thread is writing.
    pub(super) frozen: Option<Buffer>,
    pub(super) disk: Arc<dyn DiskView>,
}

/// What is known of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeaseView {
    pub(crate) ttl_ms: u64,
    /// In cluster time.
    pub(crate) expire_at: u64,
    /// Whether it is over, and only its keys are left to be taken away.
    pub(crate) ended: bool,
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
        let Loaded { meta, tables, view } = loaded;
        let layers = Layers { active: Buffer::default(), frozen: None, disk: view };
        Self { layers, meta, tables }
    }

    /// Returns the state that a checkpoint left on the disk.
    pub(super) fn of_checkpoint(checkpoint: Checkpoint, disk: Arc<dyn DiskView>) -> Self {
        let Checkpoint { tables, meta, .. } = checkpoint;
        Self::new(Loaded { meta, tables, view: disk })
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
        self.layers.record(key)
    }

    /// Reads one page of a range; the next one starts behind its last key.
    pub(crate) fn page(&self, request: &PageRequest) -> Result<PageRead> {
        self.layers.page(request)
    }

    /// Returns how many entries there are.
    pub(crate) const fn len(&self) -> u64 {
        self.meta.len
    }

    /// Returns how many rows the small tables have.
    pub(crate) fn table_counts(&self) -> TableCounts {
        self.tables.counts()
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

    pub(crate) fn membership(&self) -> &StoredMembership {
        &self.meta.membership
    }

    /// Returns one number over all replicated state: entries, sessions with their outcomes, and
    /// everything else by its checksum. Nodes at one applied id have the same.
    pub(crate) fn state_hash(&self) -> u64 {
        self.meta.state_hash()
    }

    /// Returns whether a session is open.
    #[cfg(test)]
    pub(crate) fn has_session(&self, id: SessionId) -> bool {
        self.tables.sessions.get(id).is_some()
    }

    /// Returns what is known of a lease.
    pub(crate) fn lease(&self, id: LeaseNumber) -> Option<LeaseView> {
        self.tables.leases.get(id).map(|lease| LeaseView {
            ttl_ms: lease.ttl_ms,
            expire_at: lease.expire_at,
            ended: lease.ended,
        })
    }

    /// Returns the keys of a lease in order.
    pub(crate) fn lease_keys(&self, id: LeaseNumber) -> Vec<Bytes> {
        let keys = self.tables.leases.get(id).map(|lease| lease.keys.iter().cloned());
        keys.map(Iterator::collect).unwrap_or_default()
    }

    /// Returns at most `limit` leases to end, each with the deadline that has passed; one that has
    /// ended is among them for as long as it has keys.
    pub(crate) fn expired_leases(&self, now_ms: u64, limit: usize) -> Vec<(LeaseNumber, u64)> {
        self.tables.leases.expired(now_ms, limit)
    }

    pub(crate) fn has_leases(&self) -> bool {
        self.tables.leases.count() > 0
    }

    /// Returns what a lease is to a lock.
    pub(crate) fn lock_place(&self, name: &[u8], lease: LeaseNumber) -> LockPlace {
        self.tables.locks.get(name).map_or(LockPlace::None, |lock| lock.place(lease))
    }

    /// Returns which lease holds a lock, and with which fencing token.
    #[cfg(test)]
    pub(crate) fn lock_holder(&self, name: &[u8]) -> Option<(LeaseNumber, u64)> {
        self.tables.locks.get(name).map(|lock| (lock.holder, lock.token))
    }

    /// Returns at most `limit` sessions to end, each with the deadline that has passed.
    pub(crate) fn expired_sessions(&self, now_ms: u64, limit: usize) -> Vec<(SessionId, u64)> {
        self.tables.sessions.expired(now_ms, limit)
    }
}

impl Layers {
    fn slot(&self, key: &[u8]) -> Option<&Slot> {
        self.active.get(key).or_else(|| self.frozen.as_ref()?.get(key))
    }

    /// Returns what is under a key.
    pub(super) fn record(&self, key: &[u8]) -> Result<Option<Record>> {
        match self.slot(key) {
            Some(Slot::Put(record)) => Ok(Some(record.clone())),
            Some(Slot::Tombstone) => Ok(None),
            None => self.disk.record(key),
        }
    }

    /// Reads one page of a range.
    pub(super) fn page(&self, request: &PageRequest) -> Result<PageRead> {
        let Some(range) = proper(&request.range) else { return Ok(PageRead::default()) };
        let order = request.order;
        let mut page = PageWriter::new(request);
        let mut overlay = self.overlay(&range, order);
        self.disk.scan(&range, order, &mut |key, raw| {
            while let Some((above, slot)) = overlay.next_up_to(key) {
                let same = above == key;
                if page.push_slot(above, slot).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                if same {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            if self.hides(key) {
                return Ok(ControlFlow::Continue(()));
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

    /// Returns whether a buffer hides a key of the disk that it has no slot for.
    fn hides(&self, key: &[u8]) -> bool {
        self.active.erases(key) || self.frozen.as_ref().is_some_and(|frozen| frozen.erases(key))
    }

    /// Returns about how much memory the buffers hold.
    pub(super) fn buffer_bytes(&self) -> usize {
        self.active.bytes() + self.frozen.as_ref().map_or(0, Buffer::bytes)
    }

    fn overlay(&self, range: &KeyRange, order: Order) -> Overlay<'_> {
        let seen = |(key, _): &(&Bytes, &Slot)| !self.active.erases(key);
        let frozen = self
            .frozen
            .as_ref()
            .map(|buffer| Box::new(slots(buffer, range, order).filter(seen)) as Slots<'_>);
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
pub(super) fn proper(range: &KeyRange) -> Option<KeyRange> {
    use Bound::{Excluded, Included, Unbounded};
    let start = match &range.0 {
        Included(key) | Excluded(key) if key.is_empty() => Unbounded,
        start @ (Included(_) | Excluded(_) | Unbounded) => start.clone(),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::command::{Command, Payload, Stamp};
    use crate::raft::Entry;
    use crate::storage::apply::Replica;
    use crate::storage::generation::Generations;
    use crate::storage::state_disk::StateDisk;
    use openraft::EntryPayload;

    const SETTINGS: Settings = Settings {
        storage_limit_bytes: u64::MAX,
        max_value_bytes: 1 << 20,
        max_command_bytes: 1 << 20,
        heartbeat_interval_ms: 50,
        election_timeout_ms: 200,
        format_level: 1,
    };

    /// A replica, its disk and what both should say.
    struct Bench {
        replica: Replica,
        disk: Generations,
        frozen: Option<Checkpoint>,
        model: BTreeMap<Bytes, Bytes>,
        index: u64,
        _dir: tempfile::TempDir,
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(Bytes, Bytes),
        Delete(Bytes),
        Freeze,
        Commit,
        Page(Bound<Bytes>, Bound<Bytes>, bool, usize, usize),
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let disk = Generations::open(dir.path(), 64 << 20, 1).unwrap();
            let replica = Replica::new(disk.load().unwrap(), SETTINGS.format_level).unwrap();
            let mut bench =
                Self { replica, disk, frozen: None, model: BTreeMap::new(), index: 0, _dir: dir };
            bench.apply(&Command::Found { cluster_id: 1, revision_base: 0, settings: SETTINGS });
            bench
        }

        fn apply(&mut self, command: &Command) {
            self.index += 1;
            let stamp = Stamp { cluster_ms: 0, wall_ms: 0 };
            let payload = Payload::new(stamp, None, &command.encode());
            let log_id = LogId::new_term_index(1, self.index);
            let entry = Entry { log_id, payload: EntryPayload::Normal(payload) };
            self.replica.apply(entry).unwrap();
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Put(key, value) => {
                    self.apply(&Command::put(key.clone(), value.clone()));
                    self.model.insert(key, value);
                }
                Step::Delete(key) => {
                    self.apply(&Command::delete(key.clone()));
                    self.model.remove(&key);
                }
                Step::Freeze => self.frozen = Some(self.replica.freeze()),
                Step::Commit => {
                    if let Some(frozen) = self.frozen.take() {
                        self.replica.thaw(self.disk.commit(&frozen).unwrap());
                    }
                }
                Step::Page(start, end, reverse, entries, bytes) => {
                    self.check_pages((start, end), reverse, PageLimits { entries, bytes });
                }
            }
        }

        /// Reads a range page by page and compares it with the model.
        fn check_pages(&self, mut range: KeyRange, reverse: bool, limits: PageLimits) {
            let inside = |key: &Bytes| std::ops::RangeBounds::contains(&range, key);
            let mut expected: Vec<_> = self.model.iter().filter(|(key, _)| inside(key)).collect();
            let order = if reverse { Order::Reverse } else { Order::Forward };
            if reverse {
                expected.reverse();
            }
            let view = self.replica.view();
            let mut found = Vec::new();
            loop {
                let request = PageRequest { range: range.clone(), order, limits, keys_only: false };
                let page = view.page(&request).unwrap();
                assert!(page.items.len() <= limits.entries.max(1));
                let Some((last, _)) = page.items.last() else {
                    assert!(!page.more);
                    break;
                };
                let next = Bound::Excluded(last.clone());
                match order {
                    Order::Forward => range.0 = next,
                    Order::Reverse => range.1 = next,
                }
                let more = page.more;
                found.extend(page.items);
                if !more {
                    break;
                }
            }
            let found: Vec<_> = found.iter().map(|(key, record)| (key, &record.value)).collect();
            assert_eq!(found, expected);
        }

        fn check(&self) {
            let view = self.replica.view();
            assert_eq!(view.len(), self.model.len() as u64);
            let bytes: usize = self.model.iter().map(|(k, v)| k.len() + v.len()).sum();
            assert_eq!(view.bytes(), bytes as u64);
            for key in (0..12).map(|byte| Bytes::from(vec![byte])) {
                let found = view.get(&key).unwrap().map(|record| record.value);
                assert_eq!(found.as_ref(), self.model.get(&key));
            }
        }
    }

    fn key() -> impl Strategy<Value = Bytes> {
        prop_oneof![
            4 => (0..12_u8).prop_map(|byte| Bytes::from(vec![byte])),
            1 => proptest::collection::vec(0..3_u8, 1..4).prop_map(Bytes::from),
        ]
    }

    fn bound() -> impl Strategy<Value = Bound<Bytes>> {
        let key = proptest::collection::vec(0..12_u8, 0..3).prop_map(Bytes::from);
        prop_oneof![
            Just(Bound::Unbounded),
            key.clone().prop_map(Bound::Included),
            key.prop_map(Bound::Excluded),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
        prop_oneof![
            6 => (key(), value).prop_map(|(key, value)| Step::Put(key, value)),
            3 => key().prop_map(Step::Delete),
            1 => Just(Step::Freeze),
            1 => Just(Step::Commit),
            2 => (bound(), bound(), any::<bool>(), 0..6_usize, 0..90_usize)
                .prop_map(|(start, end, reverse, entries, bytes)| {
                    Step::Page(start, end, reverse, entries, bytes)
                }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn reads_agree_with_a_plain_map_whatever_was_frozen_or_written(
            steps in proptest::collection::vec(step(), 1..80)
        ) {
            let mut bench = Bench::new();
            for step in steps {
                bench.step(step);
            }
            bench.check();
            let whole = PageLimits { entries: 1000, bytes: 1 << 20 };
            bench.check_pages((Bound::Unbounded, Bound::Unbounded), false, whole);
        }
    }

    #[test]
    fn a_view_never_changes_while_the_state_goes_on() {
        let mut bench = Bench::new();
        bench.step(Step::Put("a".into(), "1".into()));
        let before = bench.replica.view();
        bench.step(Step::Freeze);
        bench.step(Step::Commit);
        bench.step(Step::Put("a".into(), "2".into()));
        bench.step(Step::Delete("a".into()));
        bench.step(Step::Freeze);
        bench.step(Step::Commit);
        let record = before.get(b"a").unwrap().unwrap();
        assert_eq!((record.value.as_ref(), record.revision), (&b"1"[..], 2));
        assert_eq!(bench.replica.view().get(b"a").unwrap(), None);
    }

    #[test]
    fn keys_only_leaves_the_values_out_and_counts_only_keys() {
        let mut bench = Bench::new();
        bench.step(Step::Put("a".into(), vec![0; 500].into()));
        bench.step(Step::Freeze);
        bench.step(Step::Commit);
        bench.step(Step::Put("b".into(), vec![0; 500].into()));
        let page = bench
            .replica
            .view()
            .page(&PageRequest {
                range: (Bound::Unbounded, Bound::Unbounded),
                order: Order::Forward,
                limits: PageLimits { entries: 10, bytes: 2 },
                keys_only: true,
            })
            .unwrap();
        assert_eq!(page.items.len(), 2);
        assert!(page.items.iter().all(|(_, record)| record.value.is_empty()));
    }
}
