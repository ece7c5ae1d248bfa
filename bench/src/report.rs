//! `render` makes a page of Markdown of what was measured.

use std::fmt::Write;
use std::time::Duration;

use kvraft::Consistency;

use crate::cluster::Place;
use crate::figures::Spread;
use crate::load::{Operation, Sample};
use crate::run::{Case, Findings};

/// One figure of a sample.
type Figure = fn(&Sample) -> f64;

const RATE: Figure = |sample| sample.rate;
const P50: Figure = |sample| micros(sample.p50);
const P99: Figure = |sample| micros(sample.p99);

/// Writes the page.
pub(crate) fn render(findings: &Findings) -> String {
    let mut page = String::new();
    setting(&mut page, findings)
        .and_then(|()| figures(&mut page, findings))
        .and_then(|()| ratios(&mut page, findings))
        .expect("writing to a string cannot fail");
    page
}

fn setting(page: &mut String, findings: &Findings) -> std::fmt::Result {
    let (plan, machine) = (&findings.plan, &findings.setting);
    let where_nodes_run = if plan.in_process {
        "three nodes in one process, which also makes the calls"
    } else {
        "three nodes in three processes; the calls are made in the process of the node named"
    };
    let build = if cfg!(debug_assertions) { "**debug build**" } else { "release build" };
    writeln!(
        page,
        "- kvraft {}, {build}, default settings, mutual TLS from a cluster secret",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(page, "- {where_nodes_run}, all on loopback")?;
    writeln!(
        page,
        "- {} keys of 16 bytes, all there before the first figure; values of {} bytes; keys at random",
        plan.keys, plan.value_bytes
    )?;
    writeln!(
        page,
        "- each figure is the median (lowest–highest) of {} measurements of {} s, taken in turn in one run",
        plan.repetitions,
        plan.window.as_secs_f64()
    )?;
    writeln!(page, "- {}, {} cores, Linux {}", machine.processor, machine.cores, machine.kernel)?;
    writeln!(
        page,
        "- load averages (1, 5, 15 min) before: {}; after: {}",
        machine.load, findings.load_after
    )?;
    if let Some(flush) = Spread::of(findings.flushes.iter().map(|time| micros(*time))) {
        writeln!(page, "- the disk alone makes 256 appended bytes durable in {flush} µs")?;
    }
    let failures: u64 = samples(findings).map(|sample| sample.failures).sum();
    writeln!(
        page,
        "- failed calls: {failures}; measurements repeated because leadership moved: {}\n",
        findings.disturbed
    )
}

fn figures(page: &mut String, findings: &Findings) -> std::fmt::Result {
    writeln!(page, "| call | at | callers | per second | p50 µs | p99 µs | entries a flush |")?;
    writeln!(page, "|---|---|--:|--:|--:|--:|--:|")?;
    for (case, samples) in &findings.cases {
        let of = |figure: Figure| shown(Spread::of(samples.iter().map(figure)));
        let per_flush = Spread::of(samples.iter().filter_map(|sample| sample.entries_per_flush));
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            call(case.operation),
            at(case.place),
            case.clients,
            of(RATE),
            of(P50),
            of(P99),
            shown(per_flush)
        )?;
    }
    writeln!(page)
}

fn ratios(page: &mut String, findings: &Findings) -> std::fmt::Result {
    let (Some(&few), Some(&many)) = (findings.plan.clients.first(), findings.plan.clients.last())
    else {
        return Ok(());
    };
    let case = |place, operation, clients| Case { place, operation, clients };
    let (read, local) =
        (Operation::Get(Consistency::Linearizable), Operation::Get(Consistency::Local));
    let put = |clients| case(Place::Leader, Operation::Put, clients);
    writeln!(page, "| ratio, taken within each repetition | |\n|---|--:|")?;
    for &clients in findings.plan.clients.iter().skip(1) {
        let gain = ratio(findings, RATE, put(clients), put(few));
        writeln!(page, "| puts a second at the leader, {clients} callers : {few} | {gain} |")?;
    }
    let flushes = findings.flushes.iter().map(|time| micros(*time));
    let puts = of_case(findings, put(few)).iter().map(P50);
    let lone = Spread::of(puts.zip(flushes).map(|(put, flush)| put / flush));
    writeln!(
        page,
        "| p50, {few} callers: put at the leader : flush of the disk alone | {} |",
        shown(lone)
    )?;
    for clients in [few, many] {
        let pairs = [
            (
                "put, follower : leader",
                case(Place::Follower, Operation::Put, clients),
                put(clients),
            ),
            (
                "linearizable get, follower : leader",
                case(Place::Follower, read, clients),
                case(Place::Leader, read, clients),
            ),
            (
                "at the leader, linearizable get : local get",
                case(Place::Leader, read, clients),
                case(Place::Leader, local, clients),
            ),
        ];
        for (name, one, other) in pairs {
            let p50 = ratio(findings, P50, one, other);
            writeln!(page, "| p50, {clients} callers: {name} | {p50} |")?;
        }
    }
    Ok(())
}

fn ratio(findings: &Findings, figure: Figure, one: Case, other: Case) -> String {
    let pairs = of_case(findings, one).iter().zip(of_case(findings, other));
    shown(Spread::of(pairs.map(|(one, other)| figure(one) / figure(other))))
}

fn of_case(findings: &Findings, case: Case) -> &[Sample] {
    let found = findings.cases.iter().find(|(other, _)| *other == case);
    found.map_or(&[], |(_, samples)| samples)
}

fn samples(findings: &Findings) -> impl Iterator<Item = &Sample> {
    findings.cases.iter().flat_map(|(_, samples)| samples)
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string())
}

const fn call(operation: Operation) -> &'static str {
    match operation {
        Operation::Put => "put",
        Operation::Get(Consistency::Local) => "local get",
        Operation::Get(_) => "linearizable get",
    }
}

const fn at(place: Place) -> &'static str {
    match place {
        Place::Leader => "leader",
        Place::Follower => "follower",
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
