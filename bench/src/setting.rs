//! `Setting` is the machine under the figures, as far as the figures depend on it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// Flushes that are timed: enough for a median.
const FLUSHES: usize = 300;

/// What the machine is.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// Load averages over 1, 5 and 15 minutes, before anything was measured.
    pub(crate) load: String,
}

impl Setting {
    /// Looks at the machine; what it does not tell stays `unknown`.
    pub(crate) fn look() -> Self {
        Self {
            processor: processor().unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: first_words("/proc/sys/kernel/osrelease", 1).unwrap_or_else(unknown),
            load: load(),
        }
    }
}

/// Returns the load averages over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    first_words("/proc/loadavg", 3).unwrap_or_else(unknown)
}

/// Times how long this disk takes to make 256 appended bytes durable; returns the median.
///
/// No durable write can be faster, so that it says how much of a figure is the disk's.
pub(crate) fn flush_time(dir: &Path) -> std::io::Result<Duration> {
    let path = dir.join("flush");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    for _ in 0..FLUSHES {
        let start = Instant::now();
        file.write_all(&[7; 256])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    fs::remove_file(path)?;
    times.sort_unstable();
    Ok(times.get(FLUSHES / 2).copied().unwrap_or_default())
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn first_words(path: &str, words: usize) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_whitespace().take(words).collect::<Vec<_>>().join(" "))
}

fn unknown() -> String {
    "unknown".to_owned()
}
