//! `LogTail` is the end of the log in memory: what was submitted is readable before it is written.
//!
//! Pure: it knows the logical log as of the last submitted operation. An entry may leave memory
//! only when the operation that brought it is durable, for only then the disk can answer for it.

use std::collections::VecDeque;
use std::ops::Range;

use openraft::entry::RaftEntry;

use crate::error::{Error, Result};
use crate::raft::{Entry, LogId};
use crate::record;

#[derive(Debug)]
struct Slot {
    entry: Entry,
    /// The operation that brought the entry. An index says too little: after a truncation the
    /// same index comes again, while the first one is still on its way to the disk.
    sequence: u64,
    bytes: usize,
}

/// The logical log: its bounds, with its newest entries.
#[derive(Debug, Default)]
pub(super) struct LogTail {
    slots: VecDeque<Slot>,
    bytes: usize,
    max_bytes: usize,
    /// Every operation up to this one is durable.
    durable: u64,
    purged: Option<LogId>,
    last: Option<LogId>,
    /// The first index that is kept, as far as known: the log of a test may start anywhere.
    first: u64,
    truncations: u64,
}

/// How to answer a read: first from the disk, then with what memory had.
#[derive(Debug, PartialEq)]
pub(super) struct ReadPlan {
    pub(super) disk: Range<u64>,
    pub(super) memory: Vec<Entry>,
    /// If this has changed after the disk was read, the disk may have shown another log.
    pub(super) truncations: u64,
}

impl LogTail {
    /// Starts from a log that is wholly on the disk.
    pub(super) fn new(
        max_bytes: usize,
        purged: Option<LogId>,
        first: Option<u64>,
        last: Option<LogId>,
    ) -> Self {
        let first = first.unwrap_or_else(|| next_index(last));
        Self { max_bytes, purged, last, first, ..Self::default() }
    }

    pub(super) const fn last(&self) -> Option<LogId> {
        self.last
    }

    pub(super) const fn purged(&self) -> Option<LogId> {
        self.purged
    }

    pub(super) const fn truncations(&self) -> u64 {
        self.truncations
    }

    /// Fails unless `entries` follow each other and the log without a gap.
    pub(super) fn check_append(&self, entries: &[Entry]) -> Result<()> {
        let mut next = self.last.map(|last| last.index() + 1);
        for entry in entries {
            let index = entry.log_id().index();
            if next.is_some_and(|next| next != index) {
                return Err(Error::internal(format!(
                    "log entry {index} was submitted behind {:?}",
                    self.last.map(|last| last.index())
                )));
            }
            next = Some(index + 1);
        }
        Ok(())
    }

    /// Takes checked entries that operation `sequence` brings.
    pub(super) fn append(&mut self, sequence: u64, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            if self.last.is_none() {
                self.first = entry.log_id().index();
            }
            self.last = Some(entry.log_id());
            let bytes = record::entry_len(&entry);
            self.bytes += bytes;
            self.slots.push_back(Slot { entry, sequence, bytes });
        }
        self.evict();
    }

    /// Drops all entries behind `last`, but nothing that is purged; there may be none.
    pub(super) fn truncate(&mut self, last: Option<LogId>) {
        if self.last.map(|id| id.index()) <= last.map(|id| id.index()) {
            return;
        }
        self.truncations += 1;
        let last = match (last, self.purged) {
            (Some(last), Some(purged)) if last.index() < purged.index() => Some(purged),
            (last, purged) => last.or(purged),
        };
        let next = next_index(last);
        while self.slots.back().is_some_and(|slot| slot.entry.log_id().index() >= next) {
            self.bytes -= self.slots.pop_back().map_or(0, |slot| slot.bytes);
        }
        self.last = last;
    }

    /// Drops all entries up to `upto`; behind the end, the log starts anew there.
    pub(super) fn purge(&mut self, upto: LogId) {
        if self.purged.is_some_and(|purged| purged.index() >= upto.index()) {
            return;
        }
        while self.slots.front().is_some_and(|slot| slot.entry.log_id().index() <= upto.index()) {
            self.drop_front();
        }
        self.purged = Some(upto);
        self.first = upto.index() + 1;
        if self.last.is_none_or(|last| last.index() <= upto.index()) {
            self.last = Some(upto);
        }
    }

    /// Learns that every operation up to `sequence` is durable.
    pub(super) fn mark_durable(&mut self, sequence: u64) {
        self.durable = self.durable.max(sequence);
        self.evict();
    }

    fn evict(&mut self) {
        while self.bytes > self.max_bytes
            && self.slots.front().is_some_and(|slot| slot.sequence <= self.durable)
        {
            self.drop_front();
        }
    }

    fn drop_front(&mut self) {
        self.bytes -= self.slots.pop_front().map_or(0, |slot| slot.bytes);
    }

    /// Says how to read `range`. With a limit the answer may end early, but has no gap.
    pub(super) fn plan(&self, range: &Range<u64>, max_bytes: usize) -> ReadPlan {
        let start = range.start.max(self.first);
        let end = range.end.min(next_index(self.last));
        let memory_start =
            self.slots.front().map_or_else(|| next_index(self.last), |s| s.entry.log_id().index());
        let disk = start..end.min(memory_start).max(start);
        // What is behind a disk part may not be reached within the limit, so it waits.
        let memory = if disk.is_empty() || max_bytes == usize::MAX {
            self.in_memory(start.max(memory_start)..end, memory_start, max_bytes)
        } else {
            Vec::new()
        };
        ReadPlan { disk, memory, truncations: self.truncations }
    }

    fn in_memory(&self, range: Range<u64>, memory_start: u64, max_bytes: usize) -> Vec<Entry> {
        let skip = usize::try_from(range.start - memory_start).unwrap_or(usize::MAX);
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        let mut bytes = 0_usize;
        for slot in self.slots.iter().skip(skip).take(count) {
            bytes = bytes.saturating_add(slot.bytes);
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(slot.entry.clone());
        }
        entries
    }
}

fn next_index(last: Option<LogId>) -> u64 {
    last.map_or(0, |last| last.index() + 1)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::EntryPayload;
    use proptest::prelude::*;

    use super::*;
    use crate::command::Payload;

    fn entry(term: u64, index: u64) -> Entry {
        let payload = EntryPayload::Normal(Payload(Bytes::from(vec![term as u8; 36])));
        Entry::new(LogId::new_term_index(term, index), payload)
    }

    /// The plain truth: the logical log, and a disk that does one operation at a time.
    #[derive(Default)]
    struct Model {
        log: Vec<Entry>,
        purged: Option<LogId>,
        queue: VecDeque<Step>,
        disk: Vec<Entry>,
    }

    #[derive(Clone)]
    enum Step {
        Append(Vec<Entry>),
        Truncate(u64),
        Purge(u64),
    }

    impl Model {
        fn last(&self) -> Option<LogId> {
            self.log.last().map(|entry| entry.log_id()).or(self.purged)
        }

        fn flush_one(&mut self) -> bool {
            match self.queue.pop_front() {
                None => return false,
                Some(Step::Append(entries)) => self.disk.extend(entries),
                Some(Step::Truncate(next)) => self.disk.retain(|e| e.log_id().index() < next),
                Some(Step::Purge(upto)) => self.disk.retain(|e| e.log_id().index() > upto),
            }
            true
        }

        fn on_disk(&self, range: &Range<u64>) -> Vec<Entry> {
            self.disk.iter().filter(|e| range.contains(&e.log_id().index())).cloned().collect()
        }
    }

    #[derive(Debug, Clone)]
    enum Action {
        Append(u64),
        Truncate(u64),
        Purge(u64),
        Flush,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (1..5_u64).prop_map(Action::Append),
            1 => (0..6_u64).prop_map(Action::Truncate),
            1 => (0..9_u64).prop_map(Action::Purge),
            4 => Just(Action::Flush),
        ]
    }

    fn check(tail: &LogTail, model: &Model) -> Result<(), TestCaseError> {
        prop_assert_eq!(tail.last(), model.last());
        prop_assert_eq!(tail.purged(), model.purged);
        let end = next_index(model.last()) + 2;
        for start in 0..end {
            for max_bytes in [usize::MAX, 250] {
                let range = start..end;
                let plan = tail.plan(&range, max_bytes);
                let mut read = model.on_disk(&plan.disk);
                read.extend(plan.memory);
                let expected: Vec<_> = model
                    .log
                    .iter()
                    .filter(|entry| range.contains(&entry.log_id().index()))
                    .cloned()
                    .collect();
                if max_bytes == usize::MAX {
                    prop_assert_eq!(read, expected);
                } else {
                    prop_assert_eq!(read.is_empty(), expected.is_empty());
                    prop_assert_eq!(&read[..], &expected[..read.len()]);
                }
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_submitted_is_read_whatever_the_disk_has_done(
            actions in prop::collection::vec(action(), 1..40)
        ) {
            let mut tail = LogTail::new(300, None, None, None);
            let mut model = Model::default();
            let (mut sequence, mut done) = (0, 0);
            for (term, action) in (1_u64..).zip(actions) {
                match action {
                    Action::Append(count) => {
                        let next = next_index(model.last());
                        let entries: Vec<_> =
                            (next..next + count).map(|index| entry(term, index)).collect();
                        prop_assert!(tail.check_append(&entries).is_ok());
                        sequence += 1;
                        tail.append(sequence, entries.clone());
                        model.log.extend(entries.clone());
                        model.queue.push_back(Step::Append(entries));
                    }
                    Action::Truncate(back) => {
                        let keep = model.log.len().saturating_sub(back as usize);
                        let last = keep.checked_sub(1).map(|at| model.log[at].log_id());
                        sequence += 1;
                        tail.truncate(last);
                        model.log.truncate(keep);
                        model.queue.push_back(Step::Truncate(next_index(model.last())));
                    }
                    Action::Purge(ahead) => {
                        let base = model.purged.map_or(0, |id| id.index());
                        let at = base + ahead;
                        let known = model.log.iter().find(|e| e.log_id().index() == at);
                        let upto = known.map_or_else(|| LogId::new_term_index(term, at), |e| e.log_id());
                        sequence += 1;
                        tail.purge(upto);
                        if model.purged.is_none_or(|purged| purged.index() < at) {
                            model.log.retain(|e| e.log_id().index() > at);
                            model.purged = Some(upto);
                            model.queue.push_back(Step::Purge(at));
                        } else {
                            model.queue.push_back(Step::Append(Vec::new()));
                        }
                    }
                    Action::Flush => {
                        if model.flush_one() {
                            done += 1;
                            tail.mark_durable(done);
                        }
                    }
                }
                check(&tail, &model)?;
            }
        }
    }

    #[test]
    fn a_late_durability_mark_of_truncated_entries_evicts_nothing_of_their_successors() {
        let mut tail = LogTail::new(0, None, None, None);
        tail.append(1, [entry(1, 0), entry(1, 1)]);
        tail.truncate(Some(LogId::new_term_index(1, 0)));
        tail.append(3, [entry(2, 1)]);
        tail.mark_durable(1);
        let plan = tail.plan(&(0..2), usize::MAX);
        assert_eq!(plan.disk, 0..1);
        assert_eq!(plan.memory, [entry(2, 1)]);
    }

    #[test]
    fn a_gap_is_refused() {
        let mut tail = LogTail::new(1 << 20, None, None, None);
        tail.append(1, [entry(1, 0)]);
        assert!(tail.check_append(&[entry(1, 2)]).is_err());
        assert!(tail.check_append(&[entry(1, 1), entry(1, 3)]).is_err());
        assert!(tail.check_append(&[entry(1, 1), entry(1, 2)]).is_ok());
    }
}
