//! `Join` is what a node that joins costs its cluster: time, memory, and the writes of others.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use kvraft::ReplicatedMap;
use tokio::runtime::Runtime;

use crate::args::Plan;
use crate::cluster::{Cluster, GUEST, Place};
use crate::load::Data;
use crate::member::Member;
use crate::setting::{self, Setting};
use crate::writers;

/// How long writes are measured before the node joins, and after.
const QUIET: Duration = Duration::from_secs(10);
/// How long writes go on before anybody looks again whether the node has joined.
const PIECE: Duration = Duration::from_millis(100);
/// How long joining may take.
const PATIENCE: Duration = Duration::from_secs(300);
const MIB: usize = 1 << 20;

/// Fills a map, has a fourth node join it while others write, and measures both.
pub(crate) fn measure(plan: &Plan, mib: usize) -> anyhow::Result<String> {
    let runtime = Runtime::new().context("cannot start the threads of the callers")?;
    let machine = Setting::look();
    let mut cluster = Cluster::start(plan)?;
    let map = cluster.seat(Place::Leader)?;
    let data = Arc::new(Data::new(mib * MIB / plan.value_bytes, plan.value_bytes));
    let mut page = String::new();
    writeln!(page, "- {}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel)?;
    writeln!(page, "- load average before: {}", machine.load)?;
    runtime.block_on(data.fill(&map))?;
    let term = map.status().term;
    writers::head(&mut page)?;
    let alone = runtime.block_on(writers::write(&map, &data, Instant::now() + QUIET))?;
    writers::row(&mut page, "three nodes", &alone)?;
    let first_log = map.status().first_log;
    let leader = Memory::of(std::process::id())?;
    let start = Instant::now();
    let guest = Member::start(cluster.guest())?;
    let joining = runtime.block_on(write_until_joined(&map, &data, guest.id(), start))?;
    writers::row(&mut page, "the fourth joins", &(joining.latencies, joining.time))?;
    let joined = runtime.block_on(writers::write(&map, &data, Instant::now() + QUIET))?;
    writers::row(&mut page, "four nodes", &joined)?;
    writeln!(
        page,
        "\n| memory in MiB | own, before | own, most while it joined | all, most ever |\n|---|--:|--:|--:|"
    )?;
    let after = Memory::of(std::process::id())?;
    writeln!(page, "| leader | {} | {} | {} |", leader.own, joining.leader_most, after.most)?;
    let joiner = Memory::of(guest.id())?;
    writeln!(page, "| joiner | – | {} | {} |", joining.guest_most, joiner.most)?;
    writeln!(
        page,
        "\n- {} entries of {} bytes; the first entry in the leader's log was {first_log}",
        map.status().keys,
        plan.value_bytes,
    )?;
    writeln!(page, "- a voter {:.1} s after its process started", joining.time.as_secs_f64())?;
    writeln!(page, "- changes of leader meanwhile: {}", map.status().term - term)?;
    writeln!(page, "- load average after: {}", setting::load())?;
    cluster.close()?;
    Ok(page)
}

/// What is measured while a node joins.
struct Joining {
    latencies: Vec<Duration>,
    time: Duration,
    leader_most: u64,
    guest_most: u64,
}

async fn write_until_joined(
    map: &ReplicatedMap,
    data: &Arc<Data>,
    guest: u32,
    start: Instant,
) -> anyhow::Result<Joining> {
    let mut joining =
        Joining { latencies: Vec::new(), time: Duration::ZERO, leader_most: 0, guest_most: 0 };
    loop {
        let (latencies, _) = writers::write(map, data, Instant::now() + PIECE).await?;
        joining.latencies.extend(latencies);
        joining.leader_most = joining.leader_most.max(Memory::of(std::process::id())?.own);
        joining.guest_most = joining.guest_most.max(Memory::of(guest)?.own);
        joining.time = start.elapsed();
        let members = map.status().members;
        if members.iter().any(|member| member.name == GUEST && member.voter) {
            joining.latencies.sort_unstable();
            return Ok(joining);
        }
        anyhow::ensure!(joining.time < PATIENCE, "the node has not joined in {PATIENCE:?}");
    }
}

/// What a process takes, in MiB.
struct Memory {
    /// Its own: without the pages of files, which the system takes back when it needs them.
    own: u64,
    /// The most that it ever had, with those.
    most: u64,
}

impl Memory {
    fn of(process: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let mib = |name: &str| {
            let kib = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = kib.context("Linux tells it")?.trim().trim_end_matches(" kB");
            anyhow::Ok(kib.parse::<u64>()? >> 10)
        };
        Ok(Self { own: mib("RssAnon:")?, most: mib("VmHWM:")? })
    }
}
