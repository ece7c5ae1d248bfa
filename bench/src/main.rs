//! `kvraft-bench` measures a cluster of three nodes on this machine, through the Rust API, and a single
//! one through that of C.

mod args;
mod cluster;
mod expiry;
mod face;
mod figures;
mod join;
mod load;
mod member;
mod report;
mod run;
mod setting;
mod writers;

use std::io::Write;

use crate::args::Order;

fn main() -> anyhow::Result<()> {
    match args::parse() {
        Order::Member(settings) => member::serve(&settings),
        Order::Measure(plan) => print(&report::render(&run::measure(&plan)?)),
        Order::Expiry(plan, leases) => print(&expiry::measure(&plan, &leases)?),
        Order::Face(plan, program) => print(&face::measure(&plan, &program)?),
        Order::Join(plan, mib) => print(&join::measure(&plan, mib)?),
    }
}

fn print(page: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(page.as_bytes())?)
}
