//! A plain list of all changes, against which the ring and its watchers are held.

use std::ops::Bound;

use bytes::Bytes;
use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;
use crate::storage::state_record::Record;

/// What happens to a history.
#[derive(Debug, Clone)]
enum Step {
    /// Revisions with the keys that each changes, applied at once, and the revisions behind that
    /// change nothing.
    Publish(Vec<Vec<u8>>, u64),
    /// A revision whose changes are too many to hold.
    TooMany,
    /// The state is replaced by one that is so much newer.
    Reset(u64),
    /// Watches a range from so far before the next revision, or after it, or from now.
    Watch(KeyRange, Option<i64>),
    Read(usize),
    Restart(usize),
    Drop(usize),
}

/// A watcher, and what it has been told of.
struct Told {
    watcher: Watcher,
    range: KeyRange,
    from: u64,
    upto: u64,
    /// Whether its last read found nothing, so that it would wait.
    waits: bool,
}

/// One revision of the list.
struct Past {
    revision: u64,
    /// `None` if nobody can know.
    changes: Option<Vec<Change>>,
}

struct Model {
    limits: Limits,
    history: Arc<History>,
    past: Vec<Past>,
    floor: u64,
    latest: u64,
    watchers: Vec<Told>,
}

fn change(key: u8, revision: u64) -> Change {
    let found = crate::command::Found {
        value: vec![b'v'; usize::from(key)].into(),
        revision,
        created: revision,
        lease: 0,
    };
    let key = Bytes::from(vec![key]);
    Change { now: Some(Record::new(&key, found)), before: None, key }
}

impl Model {
    fn new(limits: Limits) -> Self {
        let history = History::within(limits, 7);
        let (past, watchers) = (Vec::new(), Vec::new());
        Self { limits, history, past, floor: 7, latest: 7, watchers }
    }

    fn step(&mut self, step: Step) {
        let count = self.watchers.len().max(1);
        match step {
            Step::Publish(keys, quiet) => self.publish(keys, quiet),
            Step::TooMany => {
                self.latest += 1;
                let (revision, changes) = (self.latest, [].into());
                self.history
                    .publish(vec![Revision { revision, changes, complete: false }], revision);
                self.lose(revision);
            }
            Step::Reset(by) => {
                self.latest += by;
                self.history.reset(self.latest);
                self.lose(self.latest);
            }
            Step::Watch(range, offset) => self.watch(range, offset),
            Step::Read(index) => {
                if self.watchers.get(index % count).is_some() {
                    self.read(index % count);
                }
            }
            Step::Restart(index) => {
                if let Some(told) = self.watchers.get_mut(index % count) {
                    told.watcher.restart();
                    (told.from, told.upto, told.waits) = (self.latest + 1, self.latest, false);
                }
            }
            Step::Drop(index) => {
                if index % count < self.watchers.len() {
                    self.watchers.remove(index % count);
                }
            }
        }
    }

    fn publish(&mut self, keys: Vec<Vec<u8>>, quiet: u64) {
        let revisions = keys.into_iter().map(|keys| {
            self.latest += 1;
            let changes: Vec<_> = keys.iter().map(|key| change(*key, self.latest)).collect();
            self.past.push(Past { revision: self.latest, changes: Some(changes.clone()) });
            Revision { revision: self.latest, changes: changes.into(), complete: true }
        });
        let revisions = revisions.collect();
        self.latest += quiet;
        self.history.publish(revisions, self.latest);
        // What is held is as much of the end of the list as fits.
        let (mut bytes, mut held) = (0, 0);
        for past in self.past.iter().rev().take_while(|past| past.revision > self.floor) {
            let changes = past.changes.iter().flatten();
            bytes += changes.map(|change| change.bytes() + size_of::<Change>()).sum::<usize>();
            held += 1;
            if bytes > self.limits.bytes || held > self.limits.revisions {
                self.floor = past.revision;
                break;
            }
        }
    }

    fn lose(&mut self, revision: u64) {
        self.past.push(Past { revision, changes: None });
        self.floor = revision;
    }

    fn watch(&mut self, range: KeyRange, offset: Option<i64>) {
        let next = self.latest + 1;
        let from = offset.map(|offset| next.saturating_add_signed(offset));
        match self.history.watch(range.clone(), from) {
            Ok(watcher) => {
                let from = from.unwrap_or(next);
                assert!(from > self.floor);
                self.watchers.push(Told { watcher, range, from, upto: from - 1, waits: false });
            }
            Err(error) => {
                assert!(from.is_some_and(|from| from <= self.floor), "{error}");
                assert_eq!(error.revision(), Some(self.floor + 1));
            }
        }
    }

    /// The revisions behind what a watcher was told that are for it, up to `upto`; `None` if there
    /// is one of which nobody can know.
    fn owed(&self, told: &Told, upto: u64) -> Option<Vec<(u64, Vec<Change>)>> {
        let after = told.upto.max(told.from.saturating_sub(1));
        let part = self.past.iter().filter(|past| past.revision > after && past.revision <= upto);
        let mut owed = Vec::new();
        for past in part {
            let inside = |change: &&Change| told.range.contains(&change.key);
            let changes: Vec<_> = past.changes.as_ref()?.iter().filter(inside).cloned().collect();
            if !changes.is_empty() {
                owed.push((past.revision, changes));
            }
        }
        Some(owed)
    }

    /// Reads once, and compares; returns whether there may be more.
    fn read(&mut self, index: usize) -> bool {
        let told = &self.watchers[index];
        let lost = self.owed(told, self.floor).is_none_or(|owed| !owed.is_empty());
        let news = lost || self.owed(told, self.latest).is_none_or(|owed| !owed.is_empty());
        let woken = told.watcher.changed().now_or_never().is_some();
        assert!(woken || !told.waits || !news, "who waits is told of what came");
        match told.watcher.read() {
            Err(error) => {
                assert!(lost, "nothing was lost: {error}");
                assert_eq!(error.kind(), ErrorKind::Compacted);
                assert_eq!(error.revision(), Some(self.floor + 1));
                self.watchers[index].waits = false;
                false
            }
            Ok(batch) => {
                assert!(!lost, "something was lost in silence");
                assert!(batch.revisions.len() <= self.limits.read);
                assert_eq!(Some(&batch.revisions), self.owed(told, batch.upto).as_ref());
                assert!(batch.more || batch.upto == self.latest);
                let told = &mut self.watchers[index];
                told.upto = told.upto.max(batch.upto);
                told.waits = batch.revisions.is_empty() && !batch.more;
                batch.more
            }
        }
    }

    /// Reads with everyone to the end.
    fn finish(mut self) {
        for index in 0..self.watchers.len() {
            while self.read(index) {}
        }
        let inner = lock(&self.history.inner);
        assert_eq!((inner.floor, inner.latest), (self.floor, self.latest));
        assert_eq!(inner.bytes, inner.ring.iter().map(size).sum::<usize>());
        let pending = |(id, state): (&u64, &State)| state.pending.map(|pending| (pending, *id));
        assert_eq!(
            inner.by_pending,
            inner.watchers.iter().filter_map(pending).collect::<BTreeSet<_>>()
        );
        drop(inner);
        self.watchers.clear();
        let inner = lock(&self.history.inner);
        assert!(inner.by_pending.is_empty() && inner.waiting.is_empty());
    }
}

fn range() -> impl Strategy<Value = KeyRange> {
    let key = || (0..6_u8).prop_map(|key| Bytes::from(vec![key]));
    let one = |key: Bytes| (Bound::Included(key.clone()), Bound::Included(key));
    prop_oneof![
        key().prop_map(one),
        (key(), key()).prop_map(|(start, end)| (Bound::Included(start), Bound::Excluded(end))),
        (0..6_u8).prop_map(|key| {
            (Bound::Included(vec![key].into()), Bound::Excluded(vec![key + 1].into()))
        }),
        key().prop_map(|start| (Bound::Excluded(start), Bound::Unbounded)),
        Just((Bound::Unbounded, Bound::Unbounded)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let keys = proptest::collection::btree_set(0..6_u8, 1..4);
    let keys = keys.prop_map(|keys| keys.into_iter().collect());
    let offset = proptest::option::of(-12..6_i64);
    prop_oneof![
        8 => (proptest::collection::vec(keys, 0..5), 0..3_u64)
            .prop_map(|(keys, quiet)| Step::Publish(keys, quiet)),
        1 => Just(Step::TooMany),
        1 => (1..9_u64).prop_map(Step::Reset),
        4 => (range(), offset).prop_map(|(range, offset)| Step::Watch(range, offset)),
        8 => any::<usize>().prop_map(Step::Read),
        1 => any::<usize>().prop_map(Step::Restart),
        1 => any::<usize>().prop_map(Step::Drop),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    (400..4000_usize, 1..20_usize, 1..8_usize, 1..4_usize, 1..40_usize).prop_map(
        |(bytes, revisions, look, read, read_bytes)| Limits {
            bytes,
            revisions,
            look,
            read,
            read_bytes,
            behind: BEHIND_AT_ONCE,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_reads_the_changes_of_its_range_in_order_and_once_or_is_compacted(
        limits in limits(),
        steps in proptest::collection::vec(step(), 1..80)
    ) {
        let mut model = Model::new(limits);
        for step in steps {
            model.step(step);
        }
        model.finish();
    }
}
