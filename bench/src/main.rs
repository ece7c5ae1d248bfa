//! `kvraft-bench` measures a cluster of three nodes on this machine, through the Rust API.

mod args;
mod cluster;
mod figures;
mod load;
mod member;
mod report;
mod run;
mod setting;

use std::io::Write;

use crate::args::Order;

fn main() -> anyhow::Result<()> {
    match args::parse() {
        Order::Member(settings) => member::serve(&settings),
        Order::Measure(plan) => {
            let report = report::render(&run::measure(&plan)?);
            std::io::stdout().lock().write_all(report.as_bytes())?;
            Ok(())
        }
    }
}
