//! `Interest` is who wants to hear of which key, found without asking everyone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use crate::command::KeyRange;

/// Numbers of watchers by what they watch.
#[derive(Debug, Default)]
pub(super) struct Interest {
    by_key: HashMap<Bytes, BTreeSet<u64>>,
    by_prefix: HashMap<Bytes, BTreeSet<u64>>,
    /// How many prefixes there are of each length: a key is looked up under no other.
    lengths: BTreeMap<usize, usize>,
    /// Who watches any other range, and is asked about every key.
    others: BTreeSet<u64>,
}

/// What kind of range it is.
enum Kind {
    Key(Bytes),
    Prefix(Bytes),
    Other,
}

impl Interest {
    pub(super) fn insert(&mut self, range: &KeyRange, id: u64) {
        match kind(range) {
            Kind::Key(key) => {
                self.by_key.entry(key).or_default().insert(id);
            }
            Kind::Prefix(prefix) => {
                let len = prefix.len();
                let ids = self.by_prefix.entry(prefix).or_default();
                if ids.is_empty() {
                    *self.lengths.entry(len).or_default() += 1;
                }
                ids.insert(id);
            }
            Kind::Other => {
                self.others.insert(id);
            }
        }
    }

    pub(super) fn remove(&mut self, range: &KeyRange, id: u64) {
        match kind(range) {
            Kind::Key(key) => {
                take(&mut self.by_key, &key, id);
            }
            Kind::Prefix(prefix) => {
                if take(&mut self.by_prefix, &prefix, id)
                    && let Some(count) = self.lengths.get_mut(&prefix.len())
                {
                    *count -= 1;
                    if *count == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
            }
            Kind::Other => {
                self.others.remove(&id);
            }
        }
    }

    /// Returns who may want to hear of a key: all who do, and some whose range has to be looked at.
    pub(super) fn of(&self, key: &[u8]) -> Vec<u64> {
        let prefixes = self.lengths.keys().filter_map(|len| key.get(..*len));
        let by_prefix = prefixes.filter_map(|prefix| self.by_prefix.get(prefix));
        let found = self.by_key.get(key).into_iter().chain(by_prefix).flatten();
        found.chain(&self.others).copied().collect()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
            && self.by_prefix.is_empty()
            && self.lengths.is_empty()
            && self.others.is_empty()
    }
}

/// Takes a number out of its set; returns whether the set went with it.
fn take(sets: &mut HashMap<Bytes, BTreeSet<u64>>, name: &Bytes, id: u64) -> bool {
    let Some(ids) = sets.get_mut(name) else { return false };
    ids.remove(&id);
    let last = ids.is_empty();
    if last {
        sets.remove(name);
    }
    last
}

fn kind(range: &KeyRange) -> Kind {
    match range {
        (Bound::Included(start), Bound::Included(end)) if start == end => Kind::Key(start.clone()),
        (Bound::Included(start), end) if is_successor(end, start) => Kind::Prefix(start.clone()),
        (Bound::Unbounded, Bound::Unbounded) => Kind::Prefix(Bytes::new()),
        _ => Kind::Other,
    }
}

/// Returns whether `end` is the first key after all keys with this prefix.
fn is_successor(end: &Bound<Bytes>, prefix: &[u8]) -> bool {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX).map_or(0, |last| last + 1);
    match (prefix.get(..kept).and_then(<[u8]>::split_last), end) {
        (None, Bound::Unbounded) => true,
        (Some((last, head)), Bound::Excluded(end)) => {
            end.split_last().is_some_and(|(end, rest)| rest == head && *end == last + 1)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds as _;

    use proptest::prelude::*;

    use super::*;
    use crate::options::KeyRange as Chosen;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![0..3_u8, Just(u8::MAX)];
        proptest::collection::vec(byte, 0..4)
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        let chosen = prop_oneof![
            Just(Chosen::all()),
            key().prop_map(Chosen::key),
            key().prop_map(Chosen::prefix),
            (key(), key()).prop_map(|(prefix, after)| Chosen::prefix(prefix).after(after)),
            (key(), key()).prop_map(|(start, end)| Chosen::all().from(start).until(end)),
        ];
        chosen.prop_map(|range| (range.start, range.end))
    }

    #[test]
    fn a_prefix_is_known_as_one_whatever_it_ends_with() {
        for prefix in [&b""[..], b"a", b"a\xff", b"\xff\xff", b"a\x00"] {
            let Chosen { start, end } = Chosen::prefix(prefix);
            assert!(matches!(kind(&(start, end)), Kind::Prefix(found) if found == prefix));
        }
        let Chosen { start, end } = Chosen::prefix("a").until("aa");
        assert!(matches!(kind(&(start, end)), Kind::Other));
    }

    proptest! {
        #[test]
        fn whoever_watches_a_key_is_found_and_nobody_who_has_gone(
            ranges in proptest::collection::vec((range(), any::<bool>()), 0..20),
            keys in proptest::collection::vec(key(), 1..8)
        ) {
            let mut interest = Interest::default();
            for (id, (range, _)) in (0..).zip(&ranges) {
                interest.insert(range, id);
            }
            let gone: Vec<_> = (0..).zip(&ranges).filter(|(_, (_, gone))| *gone).collect();
            for (id, (range, _)) in &gone {
                interest.remove(range, *id);
                interest.remove(range, *id);
            }
            for key in keys {
                let key = Bytes::from(key);
                let mut found = interest.of(&key);
                found.sort_unstable();
                let count = found.len();
                found.dedup();
                prop_assert_eq!(found.len(), count, "each once");
                prop_assert!(found.iter().all(|id| !ranges[usize::try_from(*id).unwrap()].1));
                let wanted = (0_u64..).zip(&ranges).filter(|(_, (range, gone))| !gone && range.contains(&key));
                prop_assert!(wanted.clone().all(|(id, _)| found.contains(&id)));
            }
            for (id, (range, _)) in (0..).zip(&ranges) {
                interest.remove(range, id);
            }
            prop_assert!(interest.is_empty());
        }
    }
}
