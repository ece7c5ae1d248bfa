//! `Erased` is the ranges of keys that a buffer takes away from what lies below it.

use std::ops::Bound;

use bytes::Bytes;
use imbl::OrdMap;

use crate::command::KeyRange;

/// Disjoint ranges, each from its start (inclusive) to its end (exclusive; `None` for no end).
#[derive(Debug, Clone, Default)]
pub(super) struct Erased(OrdMap<Bytes, Option<Bytes>>);

impl Erased {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether `key` lies in one of the ranges.
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        let Some((_, end)) = self.0.get_prev(key) else { return false };
        end.as_ref().is_none_or(|end| key < end.as_ref())
    }

    /// Adds a range that may hold a key, and joins it with those that it touches.
    pub(super) fn add(&mut self, range: &KeyRange) {
        let mut start = match &range.0 {
            Bound::Unbounded => Bytes::new(),
            Bound::Included(key) => key.clone(),
            Bound::Excluded(key) => successor(key),
        };
        let mut end = match &range.1 {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.clone()),
        };
        if let Some((before, its_end)) = self.0.get_prev(&start)
            && its_end.as_ref().is_none_or(|its_end| *its_end >= start)
        {
            start = before.clone();
        }
        let touched: Vec<_> = self
            .0
            .range(start.clone()..)
            .take_while(|(from, _)| end.as_ref().is_none_or(|end| *from <= end))
            .map(|(from, its_end)| (from.clone(), its_end.clone()))
            .collect();
        for (from, its_end) in touched {
            self.0.remove(&from);
            end = match (end, its_end) {
                (Some(end), Some(its_end)) => Some(end.max(its_end)),
                (None, _) | (_, None) => None,
            };
        }
        self.0.insert(start, end);
    }

    /// Returns the ranges as the bounds of their keys.
    pub(super) fn ranges(&self) -> impl Iterator<Item = KeyRange> {
        self.0.iter().map(|(start, end)| {
            let start =
                if start.is_empty() { Bound::Unbounded } else { Bound::Included(start.clone()) };
            (start, end.clone().map_or(Bound::Unbounded, Bound::Excluded))
        })
    }
}

/// Returns the first byte string after `key`.
fn successor(key: &[u8]) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds as _;

    use proptest::prelude::*;

    use super::*;

    fn bound() -> impl Strategy<Value = Bound<Bytes>> {
        let key = proptest::collection::vec(0..6_u8, 1..3).prop_map(Bytes::from);
        prop_oneof![
            Just(Bound::Unbounded),
            key.clone().prop_map(Bound::Included),
            key.prop_map(Bound::Excluded),
        ]
    }

    proptest! {
        #[test]
        fn a_key_is_covered_if_any_added_range_holds_it(
            ranges in proptest::collection::vec((bound(), bound()), 0..6)
        ) {
            let mut erased = Erased::default();
            let ranges: Vec<_> =
                ranges.iter().filter_map(crate::storage::view::proper).collect();
            for range in &ranges {
                erased.add(range);
            }
            for key in (0..6_u8).flat_map(|a| {
                std::iter::once(vec![a]).chain((0..6).map(move |b| vec![a, b]))
            }) {
                let key = Bytes::from(key);
                let held = ranges.iter().any(|range| range.contains(&key));
                prop_assert_eq!(erased.covers(&key), held, "{:?}", key);
                let told = erased.ranges().any(|range| range.contains(&key));
                prop_assert_eq!(told, held);
            }
        }
    }
}
