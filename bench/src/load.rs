//! `Load` is a number of callers, each of which waits for an answer before it asks again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kvraft::{Consistency, ReadOptions, ReplicatedMap};
use tokio::task::JoinSet;

/// The part of a window before it that is not counted: connections, caches and batches settle.
const WARM_UP: Duration = Duration::from_millis(300);
/// Callers that fill the map before anything is measured.
const FILLERS: usize = 64;

/// What a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Get(Consistency),
}

/// What is asked, by how many at once, for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) operation: Operation,
    pub(crate) clients: usize,
    pub(crate) window: Duration,
}

/// The keys that are read and written, and a value for all of them.
#[derive(Debug)]
pub(crate) struct Data {
    keys: Vec<String>,
    value: Vec<u8>,
}

/// What one measurement has shown.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Log entries that each flush of the measured node carried; `None` if nothing was written.
    pub(crate) entries_per_flush: Option<f64>,
    /// Calls that failed.
    pub(crate) failures: u64,
}

/// What one caller has seen.
#[derive(Debug, Default)]
struct Tally {
    latencies: Vec<Duration>,
    failures: u64,
}

/// When answers count.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    end: Instant,
}

impl Data {
    /// Makes `keys` random keys of 16 characters, the same in every run.
    pub(crate) fn new(keys: usize, value_bytes: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let keys = (0..keys).map(|_| format!("{:016x}", random.u64(..))).collect();
        let value = std::iter::repeat_with(|| random.u8(..)).take(value_bytes).collect();
        Self { keys, value }
    }

    /// Puts every key once.
    pub(crate) async fn fill(self: &Arc<Self>, map: &ReplicatedMap) -> anyhow::Result<()> {
        let mut fillers = JoinSet::new();
        for first in 0..FILLERS {
            let (data, map) = (Arc::clone(self), map.clone());
            fillers.spawn(async move {
                for key in data.keys.iter().skip(first).step_by(FILLERS) {
                    map.put(key, &data.value).await?;
                }
                Ok::<_, kvraft::Error>(())
            });
        }
        while let Some(filled) = fillers.join_next().await {
            filled?.context("cannot fill the map")?;
        }
        Ok(())
    }

    /// Puts keys at random, one after the other, until `end`; returns how long each put took.
    pub(crate) async fn put_until(
        &self,
        map: &ReplicatedMap,
        seed: u64,
        end: Instant,
    ) -> anyhow::Result<Vec<Duration>> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut latencies = Vec::new();
        loop {
            let asked = Instant::now();
            if asked >= end {
                return Ok(latencies);
            }
            let key = random.choice(&self.keys).context("there is a key")?;
            map.put(key, &self.value).await?;
            latencies.push(asked.elapsed());
        }
    }
}

impl Load {
    /// Puts the load on one node.
    pub(crate) async fn measure(
        &self,
        map: &ReplicatedMap,
        data: &Arc<Data>,
    ) -> anyhow::Result<Sample> {
        let start = Instant::now() + WARM_UP;
        let window = Window { start, end: start + self.window };
        let before = map.metrics()?;
        let mut clients = JoinSet::new();
        for seed in 0..self.clients {
            let (operation, map, data) = (self.operation, map.clone(), Arc::clone(data));
            clients.spawn(async move { call(operation, &map, &data, (seed as u64, window)).await });
        }
        let mut all = Tally::default();
        while let Some(tally) = clients.join_next().await {
            let tally = tally?;
            all.latencies.extend(tally.latencies);
            all.failures += tally.failures;
        }
        let after = map.metrics()?;
        let entries = after.log_entries - before.log_entries;
        let flushes = after.log_flushes - before.log_flushes;
        all.latencies.sort_unstable();
        Ok(Sample {
            rate: all.latencies.len() as f64 / self.window.as_secs_f64(),
            p50: quantile(&all.latencies, 50)?,
            p99: quantile(&all.latencies, 99)?,
            entries_per_flush: (self.operation == Operation::Put && flushes > 0)
                .then(|| entries as f64 / flushes as f64),
            failures: all.failures,
        })
    }
}

/// Is one caller until the window ends.
async fn call(
    operation: Operation,
    map: &ReplicatedMap,
    data: &Data,
    (seed, window): (u64, Window),
) -> Tally {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut tally = Tally::default();
    loop {
        let Some(key) = random.choice(&data.keys) else { return tally };
        let asked = Instant::now();
        let answer = match operation {
            Operation::Put => map.put(key, &data.value).await.map(drop),
            Operation::Get(consistency) => {
                let options = ReadOptions::new().consistency(consistency);
                map.get_with(key, options).await.map(drop)
            }
        };
        let answered = Instant::now();
        if answered >= window.end {
            return tally;
        }
        if answered >= window.start {
            match answer {
                Ok(()) => tally.latencies.push(answered - asked),
                Err(_) => tally.failures += 1,
            }
        }
        // A local read never waits: without this, a caller would keep its thread from the others.
        tokio::task::consume_budget().await;
    }
}

/// Returns the smallest value that `percent` of the sorted values do not exceed.
pub(crate) fn quantile(sorted: &[Duration], percent: usize) -> anyhow::Result<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    let value = sorted.get(rank.saturating_sub(1)).copied();
    value.context("no call was answered in a whole window; measure longer, or look at the nodes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<_> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(quantile(&values, 50).unwrap(), Duration::from_micros(100));
        assert_eq!(quantile(&values, 99).unwrap(), Duration::from_micros(198));
        assert_eq!(quantile(&values[..1], 99).unwrap(), Duration::from_micros(1));
        assert!(quantile(&[], 50).is_err());
    }

    #[test]
    fn every_run_uses_the_same_keys() {
        let (one, other) = (Data::new(1000, 256), Data::new(1000, 256));
        assert_eq!((&one.keys, &one.value), (&other.keys, &other.value));
        assert_eq!(one.value.len(), 256);
    }
}
