//! `History` is the last changes of this node, and those who follow them.
//!
//! A watcher keeps no queue of its own: it notes where it has to read on, and reads from the one
//! bounded ring. So memory does not grow with slow watchers, and one that has nothing to read is
//! never too far behind, however long it waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeBounds as _;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::command::KeyRange;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::change::{Change, Revision};
use crate::storage::interest::Interest;
use crate::storage::lock;

/// Keys and values that the ring holds, those of before the changes among them.
const MAX_BYTES: usize = 64 << 20;
/// Revisions that the ring holds.
const MAX_REVISIONS: usize = 65_536;
/// Watchers of one node at most.
const MAX_WATCHERS: usize = 65_536;
/// Revisions that one read looks through, so that it does not hold the ring for long.
const LOOK_AT_ONCE: usize = 4096;
/// Revisions and bytes that one read gives; the first revision is there in any case.
const READ_AT_ONCE: usize = 256;
const READ_BYTES: usize = 1 << 20;
/// Watchers that are behind what leaves the ring and for whom it is looked at, so that those for
/// whom it has nothing lose nothing. More would hold apply up; they lose their place.
const BEHIND_AT_ONCE: usize = 1024;

/// How much the ring holds, and how much of it is looked at and read at a time.
#[derive(Debug, Clone, Copy)]
struct Limits {
    bytes: usize,
    revisions: usize,
    look: usize,
    read: usize,
    read_bytes: usize,
    behind: usize,
}

const LIMITS: Limits = Limits {
    bytes: MAX_BYTES,
    revisions: MAX_REVISIONS,
    look: LOOK_AT_ONCE,
    read: READ_AT_ONCE,
    read_bytes: READ_BYTES,
    behind: BEHIND_AT_ONCE,
};

/// The ring and its watchers.
#[derive(Debug)]
pub(crate) struct History {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limits: Limits,
    ring: VecDeque<Revision>,
    bytes: usize,
    /// Up to here changes are not in the ring any more.
    floor: u64,
    /// The last revision that was published, with or without changes.
    latest: u64,
    last_id: u64,
    /// How often a watcher was told that it has missed something.
    compacted: u64,
    watchers: BTreeMap<u64, State>,
    /// Who waits for what: those who have something to read do not.
    waiting: Interest,
    /// Who has something to read, by where it begins.
    by_pending: BTreeSet<(u64, u64)>,
}

/// What the history knows of one watcher.
#[derive(Debug)]
struct State {
    range: KeyRange,
    /// Changes before are not for it.
    from: u64,
    /// The first revision that may hold something that it has not read.
    pending: Option<u64>,
    /// Whether it has missed something for good.
    lost: bool,
    wake: Arc<Notify>,
}

/// One who follows the changes of a range; dropping it ends that.
#[derive(Debug)]
pub(crate) struct Watcher {
    history: Arc<History>,
    id: u64,
    wake: Arc<Notify>,
}

/// What a watcher reads at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Each revision with all of its changes in the range.
    pub(crate) revisions: Vec<(u64, Vec<Change>)>,
    /// Up to here there is nothing more for the watcher.
    pub(crate) upto: u64,
    /// Whether there may be more to read at once, even if nothing was found in this part.
    pub(crate) more: bool,
}

/// How much a history holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryStats {
    pub(crate) watchers: u64,
    pub(crate) revisions: u64,
    pub(crate) bytes: u64,
    /// The oldest revision from which one can watch.
    pub(crate) oldest: u64,
    pub(crate) compacted: u64,
}

impl History {
    /// Begins behind `floor`, before which nothing is known.
    pub(super) fn new(floor: u64) -> Arc<Self> {
        Self::within(LIMITS, floor)
    }

    fn within(limits: Limits, floor: u64) -> Arc<Self> {
        let inner = Inner {
            limits,
            ring: VecDeque::new(),
            bytes: 0,
            floor,
            latest: floor,
            last_id: 0,
            compacted: 0,
            watchers: BTreeMap::new(),
            waiting: Interest::default(),
            by_pending: BTreeSet::new(),
        };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// Adds what was applied, up to the revision `latest`, and wakes whom it concerns.
    pub(super) fn publish(&self, revisions: Vec<Revision>, latest: u64) {
        let mut inner = lock(&self.inner);
        for revision in revisions {
            inner.add(revision);
        }
        inner.latest = inner.latest.max(latest);
    }

    /// Begins anew behind `floor`: the state was replaced, and what lies between is not known.
    pub(super) fn reset(&self, floor: u64) {
        lock(&self.inner).lose_all(floor);
    }

    /// Says how much is held, without looking at it.
    pub(super) fn stats(&self) -> HistoryStats {
        let inner = lock(&self.inner);
        HistoryStats {
            watchers: inner.watchers.len() as u64,
            revisions: inner.ring.len() as u64,
            bytes: inner.bytes as u64,
            oldest: inner.floor + 1,
            compacted: inner.compacted,
        }
    }

    /// Follows a range from a revision on, or from what comes next.
    ///
    /// # Errors
    /// `Compacted` if that revision is not in the ring any more, `Overloaded` if too many watch.
    pub(crate) fn watch(self: &Arc<Self>, range: KeyRange, from: Option<u64>) -> Result<Watcher> {
        let mut inner = lock(&self.inner);
        if inner.watchers.len() >= MAX_WATCHERS {
            return Err(Error::overloaded(format!(
                "this node has {MAX_WATCHERS} watches already; end some, or watch on another node"
            )));
        }
        let from = from.unwrap_or(inner.latest + 1);
        if from <= inner.floor {
            return Err(inner.compacted());
        }
        inner.last_id += 1;
        let id = inner.last_id;
        let wake = Arc::new(Notify::new());
        let pending = (from <= inner.latest).then_some(from);
        match pending {
            Some(pending) => drop(inner.by_pending.insert((pending, id))),
            None => inner.waiting.insert(&range, id),
        }
        let state = State { range, from, pending, lost: false, wake: Arc::clone(&wake) };
        inner.watchers.insert(id, state);
        Ok(Watcher { history: Arc::clone(self), id, wake })
    }
}

impl Inner {
    fn add(&mut self, revision: Revision) {
        self.latest = self.latest.max(revision.revision);
        if !revision.complete {
            return self.lose_all(revision.revision);
        }
        for change in revision.changes.iter() {
            for id in self.waiting.of(&change.key) {
                let Some(state) = self.watchers.get(&id) else { continue };
                if revision.revision >= state.from && state.range.contains(&change.key) {
                    state.wake.notify_one();
                    // It reads all that comes after as well.
                    self.set(id, Some(revision.revision), false);
                }
            }
        }
        self.bytes += size(&revision);
        self.ring.push_back(revision);
        while self.bytes > self.limits.bytes || self.ring.len() > self.limits.revisions {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= size(&oldest);
            self.floor = oldest.revision;
            self.pass(&oldest);
        }
    }

    /// Takes those who are behind over a revision that leaves the ring: who had something to read
    /// in it has lost it, the others have lost nothing.
    fn pass(&mut self, gone: &Revision) {
        let behind = self.by_pending.range(..=(gone.revision, u64::MAX)).take(self.limits.behind);
        let behind: Vec<_> = behind.map(|(_, id)| *id).collect();
        for id in behind {
            let Some(state) = self.watchers.get(&id) else { continue };
            let lost = gone.revision >= state.from
                && gone.changes.iter().any(|change| state.range.contains(&change.key));
            self.set(id, (!lost).then_some(gone.revision + 1), lost);
        }
    }

    /// Says of a watcher what it has to read, or that it has lost something.
    fn set(&mut self, id: u64, pending: Option<u64>, lost: bool) {
        let Some(state) = self.watchers.get_mut(&id) else { return };
        if let Some(old) = state.pending {
            self.by_pending.remove(&(old, id));
        }
        self.by_pending.extend(pending.map(|pending| (pending, id)));
        let waited = state.waits();
        (state.pending, state.lost) = (pending, lost);
        match (waited, state.waits()) {
            (true, false) => self.waiting.remove(&state.range, id),
            (false, true) => self.waiting.insert(&state.range, id),
            (true, true) | (false, false) => {}
        }
    }

    /// Forgets everything up to `floor`; who wanted to see it has lost it.
    fn lose_all(&mut self, floor: u64) {
        self.ring.clear();
        self.bytes = 0;
        self.floor = floor;
        self.latest = self.latest.max(floor);
        let lost = self.watchers.iter().filter(|(_, state)| state.from <= floor);
        for id in lost.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.set(id, None, true);
            if let Some(state) = self.watchers.get(&id) {
                state.wake.notify_one();
            }
        }
    }

    fn compacted(&mut self) -> Error {
        self.compacted += 1;
        Error::new(
            ErrorKind::Compacted,
            format!(
                "the changes before revision {} are not held any more; read the keys and watch from there",
                self.floor + 1
            ),
        )
        .at_revision(self.floor + 1)
    }

    fn read(&mut self, id: u64) -> Result<Batch> {
        let nothing = Batch { revisions: Vec::new(), upto: self.latest, more: false };
        let Some(state) = self.watchers.get(&id) else { return Ok(nothing) };
        let Some(pending) = state.pending.filter(|_| !state.lost) else {
            return if state.lost { Err(self.compacted()) } else { Ok(nothing) };
        };
        if pending <= self.floor {
            return Err(self.compacted());
        }
        let limits = self.limits;
        let start = self.ring.partition_point(|revision| revision.revision < pending);
        let (mut revisions, mut bytes, mut next) = (Vec::new(), 0, None);
        for (looked, revision) in self.ring.iter().skip(start).enumerate() {
            if looked == limits.look || revisions.len() == limits.read || bytes >= limits.read_bytes
            {
                next = Some(revision.revision);
                break;
            }
            let inside = |change: &&Change| state.range.contains(&change.key);
            let changes: Vec<_> = revision.changes.iter().filter(inside).cloned().collect();
            if !changes.is_empty() {
                bytes += changes.iter().map(Change::bytes).sum::<usize>();
                revisions.push((revision.revision, changes));
            }
        }
        let upto = next.map_or(self.latest, |next| next - 1);
        self.set(id, next, false);
        Ok(Batch { revisions, upto, more: next.is_some() })
    }

    fn end(&mut self, id: u64) {
        let Some(state) = self.watchers.remove(&id) else { return };
        self.waiting.remove(&state.range, id);
        if let Some(pending) = state.pending {
            self.by_pending.remove(&(pending, id));
        }
    }
}

impl State {
    const fn waits(&self) -> bool {
        self.pending.is_none() && !self.lost
    }
}

impl Watcher {
    /// Reads what has come since the last time, if anything has.
    ///
    /// # Errors
    /// `Compacted` if something was missed for good; it carries the oldest revision there is.
    pub(crate) fn read(&self) -> Result<Batch> {
        lock(&self.history.inner).read(self.id)
    }

    /// Returns the first revision whose changes are for it.
    pub(crate) fn begins_at(&self) -> u64 {
        let inner = lock(&self.history.inner);
        inner.watchers.get(&self.id).map_or(inner.latest + 1, |state| state.from)
    }

    /// Follows only what comes next, whatever was missed.
    pub(crate) fn restart(&self) {
        let mut inner = lock(&self.history.inner);
        let from = inner.latest + 1;
        inner.set(self.id, None, false);
        if let Some(state) = inner.watchers.get_mut(&self.id) {
            state.from = from;
        }
    }

    /// Leaves out what came before `from`: the caller has seen it elsewhere.
    pub(crate) fn skip_to(&self, from: u64) {
        let mut inner = lock(&self.history.inner);
        let Some(state) = inner.watchers.get_mut(&self.id) else { return };
        state.from = state.from.max(from);
        let (pending, lost) = (state.pending.map(|pending| pending.max(from)), state.lost);
        inner.set(self.id, pending, lost);
    }

    /// Returns when there may be something to read; a wake-up before the call counts.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        lock(&self.history.inner).end(self.id);
    }
}

fn size(revision: &Revision) -> usize {
    revision.changes.iter().map(|change| change.bytes() + size_of::<Change>()).sum()
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use futures_util::FutureExt as _;

    use super::*;

    const ALL: KeyRange = (Bound::Unbounded, Bound::Unbounded);

    fn revision(revision: u64, keys: &[&'static str]) -> Revision {
        let change = |key: &&'static str| Change { key: (*key).into(), now: None, before: None };
        Revision { revision, changes: keys.iter().map(change).collect(), complete: true }
    }

    fn key(key: &'static str) -> KeyRange {
        (Bound::Included(key.into()), Bound::Included(key.into()))
    }

    fn read(watcher: &Watcher) -> (Vec<(u64, usize)>, u64) {
        let batch = watcher.read().unwrap();
        let revisions =
            batch.revisions.iter().map(|(revision, changes)| (*revision, changes.len()));
        (revisions.collect(), batch.upto)
    }

    #[test]
    fn a_watcher_reads_each_revision_of_its_keys_once_and_whole() {
        let history = History::new(10);
        let (all, one) =
            (history.watch(ALL, None).unwrap(), history.watch(key("a"), None).unwrap());
        history.publish(vec![revision(11, &["a", "b"]), revision(13, &["b"])], 14);
        assert_eq!(read(&all), (vec![(11, 2), (13, 1)], 14));
        assert_eq!(read(&one), (vec![(11, 1)], 14));
        assert_eq!(read(&all), (vec![], 14));
        history.publish(vec![revision(15, &["a"])], 15);
        assert_eq!((read(&all).0, read(&one).0), (vec![(15, 1)], vec![(15, 1)]));
    }

    #[test]
    fn a_watcher_says_where_it_begins_and_keeps_what_is_to_be_read() {
        let history = History::new(10);
        history.publish(vec![revision(11, &["a"])], 12);
        let begins = |from| history.watch(ALL, from).unwrap().begins_at();
        assert_eq!((begins(None), begins(Some(11)), begins(Some(99))), (13, 11, 99));
        let past = history.watch(ALL, Some(11)).unwrap();
        assert_eq!(past.begins_at(), 11);
        assert_eq!(read(&past), (vec![(11, 1)], 12));
    }

    #[test]
    fn a_watcher_is_woken_only_by_its_own_keys_and_once_before_it_waits() {
        let history = History::new(0);
        let one = history.watch(key("a"), None).unwrap();
        history.publish(vec![revision(1, &["b"])], 1);
        assert!(one.changed().now_or_never().is_none());
        history.publish(vec![revision(2, &["a"])], 2);
        assert!(one.changed().now_or_never().is_some());
    }

    #[test]
    fn the_past_is_told_from_any_revision_that_is_still_held() {
        let history = History::new(5);
        history.publish((6..10).map(|n| revision(n, &["a"])).collect(), 9);
        let watcher = history.watch(ALL, Some(8)).unwrap();
        assert_eq!(read(&watcher), (vec![(8, 1), (9, 1)], 9));
        let error = history.watch(ALL, Some(5)).unwrap_err();
        assert_eq!((error.kind(), error.revision()), (ErrorKind::Compacted, Some(6)));
        let ahead = history.watch(ALL, Some(12)).unwrap();
        history.publish((10..14).map(|n| revision(n, &["a"])).collect(), 13);
        assert_eq!(read(&ahead).0, [(12, 1), (13, 1)]);
    }

    #[test]
    fn a_slow_watcher_loses_its_place_and_an_idle_one_does_not() {
        let history = History::new(0);
        let (slow, idle) =
            (history.watch(ALL, None).unwrap(), history.watch(key("x"), None).unwrap());
        let many = u64::try_from(MAX_REVISIONS).unwrap() + 10;
        history.publish((1..=many).map(|n| revision(n, &["a"])).collect(), many);
        assert_eq!(slow.read().unwrap_err().kind(), ErrorKind::Compacted);
        assert_eq!(read(&idle), (vec![], many));
        history.publish(vec![revision(many + 1, &["x"])], many + 1);
        assert_eq!(read(&idle).0, [(many + 1, 1)]);
    }

    #[test]
    fn a_place_in_the_past_is_not_lost_while_nothing_was_for_it() {
        let history = History::new(0);
        history.publish(vec![revision(1, &["a"])], 1);
        // Never read before the ring has moved on.
        let (other, lost) =
            (history.watch(key("x"), Some(1)).unwrap(), history.watch(key("a"), Some(1)).unwrap());
        let many = u64::try_from(MAX_REVISIONS).unwrap() + 10;
        history.publish((2..=many).map(|n| revision(n, &["b"])).collect(), many);
        history.publish(vec![revision(many + 1, &["x"])], many + 1);
        let mut found = Vec::new();
        loop {
            let batch = other.read().unwrap();
            found.extend(batch.revisions.iter().map(|(revision, _)| *revision));
            if !batch.more {
                break;
            }
        }
        assert_eq!(found, [many + 1]);
        let error = lost.read().unwrap_err();
        assert_eq!((error.kind(), error.revision()), (ErrorKind::Compacted, Some(12)));
    }

    #[test]
    fn more_watchers_behind_than_can_be_looked_at_lose_their_places() {
        let limits = Limits { revisions: 2, behind: 3, ..LIMITS };
        let history = History::within(limits, 0);
        history.publish(vec![revision(1, &["a"])], 1);
        let watchers: Vec<_> = (0..5).map(|_| history.watch(key("x"), Some(1)).unwrap()).collect();
        history.publish((2..6).map(|n| revision(n, &["a"])).collect(), 5);
        let kept = watchers.iter().filter(|watcher| watcher.read().is_ok()).count();
        assert!(kept <= 3, "{kept}");
    }

    #[test]
    fn what_cannot_be_told_in_full_is_lost_to_all_who_wanted_to_see_it() {
        let history = History::new(0);
        let (now, later) =
            (history.watch(ALL, None).unwrap(), history.watch(ALL, Some(9)).unwrap());
        history.publish(vec![Revision { complete: false, ..revision(3, &[]) }], 3);
        let error = now.read().unwrap_err();
        assert_eq!((error.kind(), error.revision()), (ErrorKind::Compacted, Some(4)));
        assert_eq!(read(&later), (vec![], 3));
        history.reset(20);
        assert!(later.read().is_err());
        later.restart();
        history.publish(vec![revision(21, &["a"])], 21);
        assert_eq!(read(&later), (vec![(21, 1)], 21));
    }

    #[test]
    fn a_long_backlog_is_read_in_bounded_batches_without_gap_or_double() {
        let history = History::new(0);
        let watcher = history.watch(ALL, None).unwrap();
        history.publish((1..=1000).map(|n| revision(n, &["a"])).collect(), 1000);
        let mut seen = Vec::new();
        loop {
            let (revisions, upto) = read(&watcher);
            assert!(revisions.len() <= READ_AT_ONCE);
            assert_eq!(revisions.last().map_or(1000, |(last, _)| *last), upto);
            if revisions.is_empty() {
                break;
            }
            seen.extend(revisions.into_iter().map(|(revision, _)| revision));
        }
        assert_eq!(seen, (1..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_for_a_watcher_does_not_end_its_reading() {
        let history = History::new(0);
        let watcher = history.watch(key("a"), None).unwrap();
        let last = u64::try_from(3 * LOOK_AT_ONCE).unwrap();
        let of = |n| if n == 1 || n == last { "a" } else { "b" };
        history.publish((1..=last).map(|n| revision(n, &[of(n)])).collect(), last);
        let mut found = Vec::new();
        loop {
            let batch = watcher.read().unwrap();
            found.extend(batch.revisions.iter().map(|(revision, _)| *revision));
            if !batch.more {
                break;
            }
        }
        assert_eq!(found, [1, last]);
    }

    #[test]
    fn a_watcher_that_is_dropped_leaves_nothing_behind() {
        let history = History::new(0);
        let watchers = (history.watch(ALL, None).unwrap(), history.watch(key("a"), None).unwrap());
        history.publish(vec![revision(1, &["a"])], 1);
        drop(watchers);
        let inner = lock(&history.inner);
        assert!(inner.watchers.is_empty() && inner.waiting.is_empty());
        assert!(inner.by_pending.is_empty());
    }
}
