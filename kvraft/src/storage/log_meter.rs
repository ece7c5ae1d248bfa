//! `LogMeter` knows about how many bytes each part of the log takes.
//!
//! It keeps a mark every quarter of a megabyte, not a number an entry: a purge may round.

use std::collections::VecDeque;

/// How far apart marks are.
const MARK_BYTES: u64 = 256 << 10;

/// One mark: up to and with `index` the log took `bytes` in all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    index: u64,
    bytes: u64,
}

/// The sizes of a log, as sums since it was opened.
#[derive(Debug, Default)]
pub(super) struct LogMeter {
    /// What lies before the first kept entry.
    purged: u64,
    total: u64,
    marks: VecDeque<Mark>,
}

impl LogMeter {
    /// Starts from a log whose entries `first..=last` take about `bytes`, evenly.
    pub(super) fn of_log(first: u64, last: u64, bytes: u64) -> Self {
        let mut meter = Self::default();
        let entries = (last + 1).saturating_sub(first).max(1);
        let marks = (bytes / MARK_BYTES).min(entries);
        for number in 1..=marks {
            let part = |whole: u64| u128_part(whole, number, marks);
            let index = first + part(entries).saturating_sub(1);
            meter.marks.push_back(Mark { index, bytes: part(bytes) });
        }
        meter.total = bytes;
        meter
    }

    /// Counts an entry behind the last one.
    pub(super) fn append(&mut self, index: u64, bytes: usize) {
        self.total += bytes as u64;
        let marked = self.marks.back().map_or(self.purged, |mark| mark.bytes);
        if self.total - marked >= MARK_BYTES {
            self.marks.push_back(Mark { index, bytes: self.total });
        }
    }

    /// Forgets the entries behind `last` (all of them if there is none left).
    pub(super) fn truncate(&mut self, last: Option<u64>) {
        let cut = self.marks.iter().rposition(|mark| last.is_some_and(|last| mark.index <= last));
        let keep = cut.map_or(0, |at| at + 1);
        if keep < self.marks.len() {
            self.marks.truncate(keep);
            self.total = self.marks.back().map_or(self.purged, |mark| mark.bytes);
        }
    }

    /// Forgets the entries up to `index`; `empty` says that none is left.
    pub(super) fn purge(&mut self, index: u64, empty: bool) {
        while let Some(mark) = self.marks.front().copied().filter(|mark| mark.index <= index) {
            self.purged = mark.bytes;
            self.marks.pop_front();
        }
        if empty {
            self.purged = self.total;
            self.marks.clear();
        }
    }

    /// Returns about how many bytes are kept.
    pub(super) const fn bytes(&self) -> u64 {
        self.total - self.purged
    }

    /// Returns the index up to which one may purge and still keep at least `bytes`, if any.
    pub(super) fn index_keeping_bytes(&self, bytes: u64) -> Option<u64> {
        let limit = self.total.checked_sub(bytes)?;
        let behind = self.marks.partition_point(|mark| mark.bytes <= limit);
        behind.checked_sub(1).and_then(|at| self.marks.get(at)).map(|mark| mark.index)
    }
}

/// Returns `whole * number / of` without overflow.
fn u128_part(whole: u64, number: u64, of: u64) -> u64 {
    let part = u128::from(whole) * u128::from(number) / u128::from(of.max(1));
    u64::try_from(part).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn meter_of(entries: u64, each: usize) -> LogMeter {
        let mut meter = LogMeter::default();
        for index in 1..=entries {
            meter.append(index, each);
        }
        meter
    }

    #[test]
    fn a_purge_index_keeps_at_least_the_bytes_asked_for_and_little_more() {
        let meter = meter_of(1024, KIB);
        let index = meter.index_keeping_bytes(512 << 10).unwrap();
        let kept = (1024 - index) * KIB as u64;
        assert!((512 << 10..=(512 << 10) + MARK_BYTES).contains(&kept), "{kept}");
        assert_eq!(meter.index_keeping_bytes(2 << 20), None);
    }

    #[test]
    fn purging_and_truncating_take_their_bytes_off() {
        let mut meter = meter_of(1024, KIB);
        let index = meter.index_keeping_bytes(512 << 10).unwrap();
        meter.purge(index, false);
        assert_eq!(meter.bytes(), 512 << 10);
        assert_eq!(meter.index_keeping_bytes(512 << 10), None);
        meter.truncate(Some(768));
        assert_eq!(meter.bytes(), 256 << 10);
        meter.purge(768, true);
        assert_eq!(meter.bytes(), 0);
        meter.append(769, KIB);
        assert_eq!(meter.bytes(), KIB as u64);
    }

    #[test]
    fn a_reopened_log_is_measured_evenly() {
        let meter = LogMeter::of_log(101, 1124, 1 << 20);
        assert_eq!(meter.bytes(), 1 << 20);
        let index = meter.index_keeping_bytes(512 << 10).unwrap();
        assert!((600..=640).contains(&index), "{index}");
        assert_eq!(LogMeter::of_log(1, 1, 10).index_keeping_bytes(0), None);
    }
}
