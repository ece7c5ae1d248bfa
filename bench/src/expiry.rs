//! `Expiry` is what many leases do to their cluster when they end: how late, and at whose cost.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::StreamExt as _;
use kvraft::{KeyRange, ReplicatedMap, WatchEvent, WatchOptions, WriteOptions};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::args::{Leases, Plan};
use crate::cluster::{Cluster, Place};
use crate::load::{self, Data};
use crate::setting::{self, Setting};
use crate::writers;

/// Callers that grant leases at the same time.
const GRANTERS: usize = 256;
/// Keys that they write.
const KEYS: usize = 1000;
/// How long writes are measured while nothing ends.
const QUIET: Duration = Duration::from_secs(5);
/// Of so many leases one is due in the same second as the others like it.
const ONE_IN: usize = 5;
/// The time in which those end.
const BURST: Duration = Duration::from_secs(1);
/// How much longer than the last lease anybody waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a lease has to end, and when its key was seen to go.
#[derive(Debug, Clone, Copy)]
struct Due {
    /// Asked for then, and so never to end before.
    asked: Instant,
    ttl: Duration,
    in_burst: bool,
}

/// Grants leases with a key each, and measures how late they end and what writes take meanwhile.
pub(crate) fn measure(plan: &Plan, leases: &Leases) -> anyhow::Result<String> {
    let runtime = Runtime::new().context("cannot start the threads of the callers")?;
    let machine = Setting::look();
    let mut cluster = Cluster::start(plan)?;
    let map = cluster.seat(Place::Leader)?;
    let term = map.status().term;
    let mut page = String::new();
    writeln!(page, "- {}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel)?;
    writeln!(page, "- load average before: {}", machine.load)?;
    runtime.block_on(story(&map, leases, &mut page))?;
    writeln!(page, "- changes of leader meanwhile: {}", map.status().term - term)?;
    writeln!(page, "- load average after: {}", setting::load())?;
    cluster.close()?;
    Ok(page)
}

async fn story(map: &ReplicatedMap, leases: &Leases, page: &mut String) -> anyhow::Result<()> {
    let data = Arc::new(Data::new(KEYS, 256));
    data.fill(map).await?;
    writers::head(page)?;
    let quiet = writers::write(map, &data, Instant::now() + QUIET).await?;
    writers::row(page, "no leases", &quiet)?;
    // All are granted, and writes measured once more, before the first is due.
    let begin = Instant::now() + leases.grant_time + QUIET;
    let watching = tokio::spawn(ends(map.clone(), leases.count, begin + leases.spread + PATIENCE));
    let granting = Instant::now();
    let due = grant(map, leases, begin).await?;
    let granted = granting.elapsed();
    anyhow::ensure!(granted < leases.grant_time, "granting took {granted:?}; give it more time");
    let none_due = writers::write(map, &data, begin).await?;
    writers::row(page, "all leases there, none due", &none_due)?;
    let ending = writers::write(map, &data, begin + leases.spread + BURST).await?;
    writers::row(page, "leases end", &ending)?;
    let ended = watching.await??;
    writeln!(
        page,
        "\n| {} leases | count | p50 ms late | p99 ms | max ms | early |\n|---|--:|--:|--:|--:|--:|",
        leases.count
    )?;
    for (what, in_burst) in [("spread", false), ("due in one second", true)] {
        let mut late = Vec::new();
        let mut early = 0;
        for (key, due) in due.iter().filter(|(_, due)| due.in_burst == in_burst) {
            let ended = ended.get(key).with_context(|| format!("{key} never went"))?;
            let end = due.asked + due.ttl;
            early += u32::from(*ended < end);
            late.push(ended.saturating_duration_since(end));
        }
        late.sort_unstable();
        let ms = |percent| load::quantile(&late, percent).map(|late| late.as_millis());
        writeln!(
            page,
            "| {what} | {} | {} | {} | {} | {early} |",
            late.len(),
            ms(50)?,
            ms(99)?,
            ms(100)?
        )?;
    }
    writeln!(
        page,
        "\n- granted in {:.1} s, over {:.0} s due",
        granted.as_secs_f64(),
        leases.spread.as_secs_f64()
    )?;
    Ok(())
}

/// Grants the leases, due from `begin` on, and puts a key with each.
async fn grant(
    map: &ReplicatedMap,
    leases: &Leases,
    begin: Instant,
) -> anyhow::Result<HashMap<String, Due>> {
    let mut granters = JoinSet::new();
    for first in 0..GRANTERS {
        let (map, leases) = (map.clone(), *leases);
        granters.spawn(async move {
            let mut granted = Vec::new();
            for n in (first..leases.count).step_by(GRANTERS) {
                let asked = Instant::now();
                let (offset, in_burst) = offset(n, &leases);
                let ttl = (begin + offset).saturating_duration_since(asked);
                // A lease counts whole milliseconds.
                let ttl = Duration::from_millis(u64::try_from(ttl.as_millis())?);
                let lease = map.grant_lease(ttl).await?;
                let key = format!("lease{n}");
                map.put_with(&key, "held", WriteOptions::new().lease(lease)).await?;
                granted.push((key, Due { asked, ttl, in_burst }));
            }
            anyhow::Ok(granted)
        });
    }
    let mut all = HashMap::new();
    while let Some(granted) = granters.join_next().await {
        all.extend(granted?.context("cannot grant a lease")?);
    }
    Ok(all)
}

/// Returns how long after the first lease this one is due: some in one second in the middle.
fn offset(n: usize, leases: &Leases) -> (Duration, bool) {
    let part = n as f64 / leases.count as f64;
    if n.is_multiple_of(ONE_IN) {
        (leases.spread.div_f64(2.0) + BURST.mul_f64(part), true)
    } else {
        (leases.spread.mul_f64(part), false)
    }
}

/// Notes when the key of each lease went.
async fn ends(
    map: ReplicatedMap,
    count: usize,
    deadline: Instant,
) -> anyhow::Result<HashMap<String, Instant>> {
    let mut ended = HashMap::new();
    let mut watch = map.watch(KeyRange::prefix("lease"), WatchOptions::new()).await?;
    while ended.len() < count {
        let event = tokio::time::timeout_at(deadline.into(), watch.next()).await;
        let event = event.context("some leases do not end")?.context("a watch does not end")??;
        let WatchEvent::Changes { changes, .. } = event else { continue };
        let now = Instant::now();
        let gone = changes.iter().filter(|change| change.entry.is_none());
        ended.extend(gone.map(|change| (String::from_utf8_lossy(&change.key).into_owned(), now)));
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lease_in_five_is_due_in_the_same_second() {
        let second = Duration::from_secs(1);
        let leases = Leases { count: 1000, spread: 20 * second, grant_time: second };
        let offsets: Vec<_> = (0..1000).map(|n| offset(n, &leases)).collect();
        assert_eq!(offsets.iter().filter(|(_, in_burst)| *in_burst).count(), 200);
        for (offset, in_burst) in offsets {
            assert!(offset < 20 * second);
            assert!(!in_burst || (10 * second..11 * second).contains(&offset));
        }
    }
}
