//! `Traffic` counts requests by route and status, with how long their answers took to begin.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the buckets: from a read in memory to a request that has run into its deadline.
const BOUNDS: [(&str, Duration); 12] = [
    ("0.0005", Duration::from_micros(500)),
    ("0.001", Duration::from_millis(1)),
    ("0.0025", Duration::from_micros(2500)),
    ("0.005", Duration::from_millis(5)),
    ("0.01", Duration::from_millis(10)),
    ("0.025", Duration::from_millis(25)),
    ("0.05", Duration::from_millis(50)),
    ("0.1", Duration::from_millis(100)),
    ("0.25", Duration::from_millis(250)),
    ("1", Duration::from_secs(1)),
    ("2.5", Duration::from_millis(2500)),
    ("5", Duration::from_secs(5)),
];

/// The name of the histogram.
pub(super) const DURATION: &str = "kvraft_http_request_duration_seconds";
/// What it tells.
pub(super) const DURATION_HELP: &str =
    "Seconds from the head of a request to the head of its answer, by method, route and status.";

/// A route: method and path, as the table of endpoints has them, so that there are few.
type Route = (&'static str, &'static str);

/// What was counted since the start.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    under_way: AtomicU64,
    seen: Mutex<BTreeMap<(Route, u16), Histogram>>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

/// A request whose answer has not begun.
pub(super) struct UnderWay<'a>(&'a AtomicU64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// A request has come.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(&self.under_way)
    }

    /// Requests whose answers have not begun.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// A request was answered.
    pub(super) fn note(&self, route: Route, status: u16, took: Duration) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = seen.entry((route, status)).or_default();
        histogram.count += 1;
        histogram.sum = histogram.sum.saturating_add(took);
        let at = BOUNDS.iter().position(|(_, bound)| took <= *bound);
        if let Some(bucket) = at.and_then(|at| histogram.buckets.get_mut(at)) {
            *bucket += 1;
        }
    }

    /// Writes all series of the histogram in the text format of Prometheus.
    pub(super) fn write(&self, out: &mut String) -> std::fmt::Result {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (((method, route), status), histogram) in seen.iter() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let mut below = 0;
            for ((bound, _), count) in BOUNDS.iter().zip(histogram.buckets) {
                below += count;
                writeln!(out, "{DURATION}_bucket{{{labels},le=\"{bound}\"}} {below}")?;
            }
            writeln!(out, "{DURATION}_bucket{{{labels},le=\"+Inf\"}} {}", histogram.count)?;
            writeln!(out, "{DURATION}_sum{{{labels}}} {}", histogram.sum.as_secs_f64())?;
            writeln!(out, "{DURATION}_count{{{labels}}} {}", histogram.count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up() {
        let traffic = Traffic::default();
        for took in [Duration::from_micros(10), Duration::from_millis(3), Duration::from_secs(60)] {
            traffic.note(("GET", "/keys"), 200, took);
        }
        traffic.note(("GET", "/keys"), 503, Duration::ZERO);
        let mut text = String::new();
        traffic.write(&mut text).unwrap();
        for line in [
            "_bucket{method=\"GET\",route=\"/keys\",status=\"200\",le=\"0.0005\"} 1",
            "_bucket{method=\"GET\",route=\"/keys\",status=\"200\",le=\"0.005\"} 2",
            "_bucket{method=\"GET\",route=\"/keys\",status=\"200\",le=\"5\"} 2",
            "_bucket{method=\"GET\",route=\"/keys\",status=\"200\",le=\"+Inf\"} 3",
            "_sum{method=\"GET\",route=\"/keys\",status=\"200\"} 60.00301",
            "_count{method=\"GET\",route=\"/keys\",status=\"503\"} 1",
        ] {
            assert!(text.contains(&format!("{DURATION}{line}\n")), "{line} is not in\n{text}");
        }
        assert!(BOUNDS.is_sorted_by_key(|(_, bound)| *bound));
        for (text, bound) in BOUNDS {
            assert_eq!(text.parse(), Ok(bound.as_secs_f64()));
        }
    }

    #[test]
    fn what_is_under_way_is_counted_while_it_is() {
        let traffic = Traffic::default();
        let one = traffic.begin();
        assert_eq!(traffic.under_way(), 1);
        drop(one);
        assert_eq!(traffic.under_way(), 0);
    }
}
