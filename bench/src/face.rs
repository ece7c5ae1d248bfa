//! `face` is what a local get costs in C, against the same call in Rust.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kvraft::blocking::ReplicatedMap;
use kvraft::{Config, Consistency, ReadOptions};

use crate::args::Plan;
use crate::setting::{self, Setting};

/// Keys that are read in turn: few enough to be put one by one, too many for the caches near a core.
const KEYS: usize = 10_000;
/// Calls between two looks at the clock.
const BATCH: u64 = 1000;

/// Measures a single node's local get with one caller, in Rust and by a program in C, in turn.
///
/// The program is called with a data directory, the number of keys, the bytes of a value and the
/// milliseconds to measure; it prints the nanoseconds that a call took on average.
pub(crate) fn measure(plan: &Plan, program: &Path) -> anyhow::Result<String> {
    let machine = Setting::look();
    let (mut rust, mut c) = (Vec::new(), Vec::new());
    for _ in 0..plan.repetitions {
        rust.push(in_rust(plan)?);
        c.push(in_c(plan, program)?);
    }
    let mut page = String::new();
    writeln!(page, "- {}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel)?;
    writeln!(page, "- load average before: {}; after: {}", machine.load, setting::load())?;
    writeln!(page, "- {KEYS} keys, values of {} bytes", plan.value_bytes)?;
    writeln!(page, "\n| local get of a single node | ns a call |\n|---|--:|")?;
    row(&mut page, "Rust, `blocking::ReplicatedMap::get_with`", &mut rust)?;
    row(&mut page, "C, `kvraft_get_with` and `kvraft_entry_free`", &mut c)?;
    Ok(page)
}

fn row(page: &mut String, what: &str, figures: &mut [u64]) -> anyhow::Result<()> {
    figures.sort_unstable();
    let median = figures.get(figures.len() / 2).context("nothing was measured")?;
    let (low, high) = (figures.first().unwrap_or(median), figures.last().unwrap_or(median));
    Ok(writeln!(page, "| {what} | {median} ({low}–{high}) |")?)
}

/// Returns the key of that number, as the program in C makes it.
fn key(number: usize) -> String {
    format!("key-{number:012}")
}

fn in_rust(plan: &Plan) -> anyhow::Result<u64> {
    let dir = tempfile::tempdir().context("no directory for the node")?;
    let map = ReplicatedMap::open(Config::new(dir.path()))?;
    let value = vec![7; plan.value_bytes];
    for number in 0..KEYS {
        map.put(key(number), &value)?;
    }
    let options = ReadOptions::new().consistency(Consistency::Local);
    let keys: Vec<_> = (0..KEYS).map(key).collect();
    let mut next = keys.iter().cycle();
    let (start, mut calls) = (Instant::now(), 0);
    while start.elapsed() < plan.window {
        for key in next.by_ref().take(usize::try_from(BATCH)?) {
            ensure!(map.get_with(key, options)?.is_some(), "{key} is not there");
        }
        calls += BATCH;
    }
    let took = start.elapsed();
    map.close()?;
    Ok(average(took, calls))
}

fn in_c(plan: &Plan, program: &Path) -> anyhow::Result<u64> {
    let dir = tempfile::tempdir().context("no directory for the node")?;
    let numbers = [KEYS.to_string(), plan.value_bytes.to_string()];
    let mut command = Command::new(program);
    command.arg(dir.path()).args(numbers).arg(plan.window.as_millis().to_string());
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said.trim().parse().with_context(|| format!("{said:?} is no number"))
}

fn average(took: Duration, calls: u64) -> u64 {
    u64::try_from(took.as_nanos() / u128::from(calls)).unwrap_or(u64::MAX)
}
