//! `Findings` is what one run has measured.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use kvraft::Consistency;
use tokio::runtime::Runtime;

use crate::args::Plan;
use crate::cluster::{self, Cluster, Place};
use crate::load::{Data, Load, Operation, Sample};
use crate::setting::{self, Setting};

/// How often a measurement is tried whose node lost its place: elections happen on a busy machine.
const TRIES: u32 = 5;

/// What is measured, in this order in each repetition; leadership is moved once.
const CASES: [(Place, Operation); 6] = [
    (Place::Leader, Operation::Put),
    (Place::Leader, Operation::Get(Consistency::Linearizable)),
    (Place::Leader, Operation::Get(Consistency::Local)),
    (Place::Follower, Operation::Put),
    (Place::Follower, Operation::Get(Consistency::Linearizable)),
    (Place::Follower, Operation::Get(Consistency::Local)),
];

/// What is measured several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) place: Place,
    pub(crate) operation: Operation,
    pub(crate) clients: usize,
}

/// All that the report says.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) plan: Plan,
    pub(crate) setting: Setting,
    pub(crate) load_after: String,
    /// Every case with a sample for each repetition.
    pub(crate) cases: Vec<(Case, Vec<Sample>)>,
    /// The median of a flush of the disk, for each repetition.
    pub(crate) flushes: Vec<Duration>,
    /// Measurements that were thrown away, since their node lost its place meanwhile.
    pub(crate) disturbed: u32,
}

/// Starts a cluster, measures every case in every repetition, and stops the cluster.
pub(crate) fn measure(plan: &Plan) -> anyhow::Result<Findings> {
    let mut findings = Findings {
        plan: plan.clone(),
        setting: Setting::look(),
        load_after: String::new(),
        cases: all_cases(plan).map(|case| (case, Vec::new())).collect(),
        flushes: Vec::new(),
        disturbed: 0,
    };
    let runtime = Runtime::new().context("cannot start the threads of the callers")?;
    let data = Arc::new(Data::new(plan.keys, plan.value_bytes));
    tell(&format!("{} keys are put first", plan.keys))?;
    let mut cluster = Cluster::start(plan)?;
    runtime.block_on(data.fill(&cluster.seat(Place::Leader)?))?;
    for repetition in 1..=plan.repetitions {
        findings.flushes.push(setting::flush_time(cluster.dir())?);
        for (case, samples) in &mut findings.cases {
            let mut bench = Bench { cluster: &mut cluster, runtime: &runtime, data: &data };
            let (sample, disturbed) = bench.undisturbed(*case, plan.window)?;
            findings.disturbed += disturbed;
            tell(&format!("{repetition}/{}: {case:?}: {:.0}/s", plan.repetitions, sample.rate))?;
            samples.push(sample);
        }
    }
    cluster.close()?;
    findings.load_after = setting::load();
    Ok(findings)
}

/// What a measurement needs.
struct Bench<'a> {
    cluster: &'a mut Cluster,
    runtime: &'a Runtime,
    data: &'a Arc<Data>,
}

impl Bench<'_> {
    /// Measures a case on a node that keeps its place all the time; returns how many measurements
    /// had to be thrown away as well.
    fn undisturbed(&mut self, case: Case, window: Duration) -> anyhow::Result<(Sample, u32)> {
        let load = Load { operation: case.operation, clients: case.clients, window };
        for disturbed in 0..TRIES {
            let map = self.cluster.seat(case.place)?;
            let term = map.status().term;
            let sample = self.runtime.block_on(load.measure(&map, self.data));
            if cluster::sits(&map, case.place) && map.status().term == term {
                return Ok((sample?, disturbed));
            }
        }
        bail!("{case:?}: elections disturbed {TRIES} measurements; the machine is too busy")
    }
}

fn all_cases(plan: &Plan) -> impl Iterator<Item = Case> {
    CASES.into_iter().flat_map(|(place, operation)| {
        plan.clients.iter().map(move |&clients| Case { place, operation, clients })
    })
}

/// Says how far it is; the report alone goes to standard output.
fn tell(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr().lock(), "{text}")?)
}
