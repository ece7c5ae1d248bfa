//! `Durations` counts how long something took, in classes that double.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From what a flush of a fast disk takes to what makes a follower doubt its leader, and beyond.
const CLASSES: usize = 16;
const SHORTEST_MICROS: u64 = 64;

/// How long something took each time, since the node was opened.
///
/// ```
/// # futures_executor::block_on(async {
/// # let dir = tempfile::tempdir().unwrap();
/// # let map = kvraft::ReplicatedMap::open(kvraft::Config::new(dir.path())).await?;
/// map.put("k", "v").await?;
/// let flushes = map.metrics()?.log_flush_time;
/// let mean_micros = flushes.total_micros / flushes.count;
/// let at_most_a_millisecond = flushes.classes().find(|(micros, _)| *micros >= 1000);
/// # let _ = (mean_micros, at_most_a_millisecond);
/// # map.close().await?;
/// # Ok::<(), kvraft::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DurationMetrics {
    /// How many times.
    pub count: u64,
    /// All of them together, in microseconds.
    pub total_micros: u64,
    /// How many took at most 64 µs, 128 µs and so on, up to 2.1 s; each holds those before it.
    pub within: [u64; CLASSES],
}

impl DurationMetrics {
    /// Returns the bound of each class in microseconds, with how many took no longer.
    pub fn classes(&self) -> impl Iterator<Item = (u64, u64)> {
        (0_u32..).zip(self.within).map(|(class, count)| (SHORTEST_MICROS << class, count))
    }
}

/// The same, while it is being counted.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    count: AtomicU64,
    total_micros: AtomicU64,
    classes: [AtomicU64; CLASSES],
}

impl Durations {
    pub(crate) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total_micros.fetch_add(micros, Ordering::Relaxed);
        // What takes longer than the last class counts in none.
        if let Some(class) = self.classes.get(class_of(micros)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> DurationMetrics {
        let mut sum = 0;
        let within = self.classes.each_ref().map(|class| {
            sum += class.load(Ordering::Relaxed);
            sum
        });
        // Whoever notes one meanwhile may have counted it in a class only.
        let count = self.count().max(sum);
        DurationMetrics { count, total_micros: self.total_micros.load(Ordering::Relaxed), within }
    }
}

/// Returns the first class whose bound holds so many microseconds.
fn class_of(micros: u64) -> usize {
    let whole = micros.div_ceil(SHORTEST_MICROS).max(1);
    // The exponent of the next power of two: at most 64.
    (u64::BITS - (whole - 1).leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_what_took_no_longer_than_its_bound() {
        let durations = Durations::default();
        for micros in [0, 64, 65, 128, 129, SHORTEST_MICROS << 15, (SHORTEST_MICROS << 15) + 1] {
            durations.note(Duration::from_micros(micros));
        }
        durations.note(Duration::MAX);
        let read = durations.read();
        assert_eq!(read.count, 8);
        let classes: Vec<_> = read.classes().collect();
        assert_eq!(classes[..3], [(64, 2), (128, 4), (256, 5)]);
        assert_eq!(classes[15], (2_097_152, 6), "two took longer");
    }
}
