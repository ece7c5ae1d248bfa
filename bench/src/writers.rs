//! `write` is a few callers whose writes show what stands in their way.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kvraft::ReplicatedMap;
use tokio::task::JoinSet;

use crate::load::{self, Data};

/// Few, so that each write shows what stands in its way.
const WRITERS: usize = 8;

/// Writes until then, and returns how long each write took, sorted, and over which time.
pub(crate) async fn write(
    map: &ReplicatedMap,
    data: &Arc<Data>,
    end: Instant,
) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let start = Instant::now();
    let mut writers = JoinSet::new();
    for seed in 0..WRITERS {
        let (map, data) = (map.clone(), Arc::clone(data));
        writers.spawn(async move { data.put_until(&map, seed as u64, end).await });
    }
    let mut all = Vec::new();
    while let Some(latencies) = writers.join_next().await {
        all.extend(latencies?.context("a write failed")?);
    }
    all.sort_unstable();
    Ok((all, start.elapsed()))
}

/// Begins the table of what writes took.
pub(crate) fn head(page: &mut String) -> anyhow::Result<()> {
    writeln!(
        page,
        "\n| {WRITERS} writers | writes/s | p50 µs | p99 µs | max µs |\n|---|--:|--:|--:|--:|"
    )?;
    Ok(())
}

/// Adds what writes took, each of them and all together.
pub(crate) fn row(
    page: &mut String,
    what: &str,
    (sorted, time): &(Vec<Duration>, Duration),
) -> anyhow::Result<()> {
    let rate = sorted.len() as f64 / time.as_secs_f64();
    let micros = |percent| load::quantile(sorted, percent).map(|latency| latency.as_micros());
    writeln!(
        page,
        "| {what} | {rate:.0} | {} | {} | {} |",
        micros(50)?,
        micros(99)?,
        micros(100)?
    )?;
    Ok(())
}
