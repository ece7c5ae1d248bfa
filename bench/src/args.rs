//! `Order` is what the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, Command, value_parser};

const EXPIRY: &str = "expiry";
const JOIN: &str = "join";
const FACE: &str = "face";

/// What the program is to do.
#[derive(Debug)]
pub(crate) enum Order {
    Measure(Plan),
    /// Measure how leases end.
    Expiry(Plan, Leases),
    /// Measure how a node joins a map of so many MiB.
    Join(Plan, usize),
    /// Measure what a call costs by this program, which is in C.
    Face(Plan, PathBuf),
    /// Be a member of the cluster that another process measures; settings as `name=value`.
    Member(Vec<String>),
}

/// What to measure, and how long.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// All nodes in this process instead of one each.
    pub(crate) in_process: bool,
    pub(crate) repetitions: u32,
    /// How long each figure is measured in each repetition.
    pub(crate) window: Duration,
    /// How many callers wait for answers at the same time.
    pub(crate) clients: Vec<usize>,
    pub(crate) keys: usize,
    pub(crate) value_bytes: usize,
    /// Where the nodes keep their data while it runs; the directory for temporary files if unset.
    pub(crate) dir: Option<PathBuf>,
    /// Settings of all nodes beside their addresses, `name=value` each.
    pub(crate) settings: Vec<String>,
}

/// The leases whose end is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leases {
    pub(crate) count: usize,
    /// From the first one that is due to the last.
    pub(crate) spread: Duration,
    /// How long granting them may take.
    pub(crate) grant_time: Duration,
}

/// Reads the command line; ends the program for `--help` and for a wrong one.
pub(crate) fn parse() -> Order {
    let mut matches = command().get_matches();
    match matches.remove_subcommand() {
        Some((name, mut expiry)) if name == EXPIRY => {
            let leases = Leases {
                count: one(&mut expiry, "leases"),
                spread: one::<humantime::Duration>(&mut expiry, "spread").into(),
                grant_time: one::<humantime::Duration>(&mut expiry, "grant-time").into(),
            };
            Order::Expiry(plan(matches), leases)
        }
        Some((name, mut join)) if name == JOIN => Order::Join(plan(matches), one(&mut join, "mib")),
        Some((name, mut face)) if name == FACE => {
            Order::Face(plan(matches), one(&mut face, "program"))
        }
        Some((_, member)) => {
            let settings = member.get_many::<String>("setting").unwrap_or_default();
            Order::Member(settings.cloned().collect())
        }
        None => Order::Measure(plan(matches)),
    }
}

fn plan(mut matches: clap::ArgMatches) -> Plan {
    Plan {
        in_process: matches.get_flag("in-process"),
        repetitions: one(&mut matches, "repetitions"),
        window: one::<humantime::Duration>(&mut matches, "window").into(),
        clients: matches.remove_many("clients").expect("it has a default").collect(),
        keys: one(&mut matches, "keys"),
        value_bytes: one(&mut matches, "value-bytes"),
        dir: matches.remove_one("dir"),
        settings: matches.remove_many("setting").into_iter().flatten().collect(),
    }
}

fn one<T: Clone + Send + Sync + 'static>(matches: &mut clap::ArgMatches, name: &str) -> T {
    matches.remove_one(name).expect("it has a default")
}

fn command() -> Command {
    Command::new("kvraft-bench")
        .about("Measures three kvraft nodes on loopback and prints a page of Markdown")
        .arg(
            Arg::new("in-process")
                .long("in-process")
                .action(ArgAction::SetTrue)
                .help("Run all three nodes in this process instead of one each"),
        )
        .arg(
            setting("repetitions", "3", "How often each figure is measured")
                .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(
            setting("window", "3s", "How long each figure is measured, each time")
                .value_parser(value_parser!(humantime::Duration)),
        )
        .arg(
            setting("clients", "1,64,256", "How many callers wait for answers at the same time")
                .value_delimiter(',')
                .value_parser(count),
        )
        .arg(
            setting("keys", "100000", "How many keys are written and read, at random")
                .value_parser(count),
        )
        .arg(
            setting("value-bytes", "256", "Bytes of each value")
                .value_parser(value_parser!(usize)),
        )
        .arg(
            Arg::new("dir")
                .long("dir")
                .value_parser(value_parser!(PathBuf))
                .help("Where to keep the data while it runs, on the disk to be measured [default: the directory for temporary files]"),
        )
        .arg(
            Arg::new("setting")
                .long("setting")
                .value_name("NAME=VALUE")
                .action(ArgAction::Append)
                .help("A setting of all nodes, such as snapshot_bytes_per_second=16MiB"),
        )
        .subcommand(expiry())
        .subcommand(
            Command::new(JOIN)
                .about("Measures how long a fourth node takes to join, and what writes take meanwhile")
                .arg(setting("mib", "256", "MiB of values that are there before").value_parser(count)),
        )
        .subcommand(
            Command::new(FACE)
                .about("Measures what a local get of a single node costs in C, against Rust")
                .arg(Arg::new("program").required(true).value_parser(value_parser!(PathBuf))),
        )
        .subcommand(
            Command::new("member")
                .hide(true)
                .arg(Arg::new("setting").action(ArgAction::Append)),
        )
}

fn expiry() -> Command {
    Command::new(EXPIRY)
        .about("Measures how late many leases end, and what writes take meanwhile")
        .arg(setting("leases", "100000", "How many leases there are").value_parser(count))
        .arg(
            setting(
                "spread",
                "20s",
                "The time over which they are due, a fifth in one second of it",
            )
            .value_parser(value_parser!(humantime::Duration)),
        )
        .arg(
            setting("grant-time", "40s", "How long granting them may take")
                .value_parser(value_parser!(humantime::Duration)),
        )
}

fn setting(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).default_value(default).help(help)
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number from 1 on is needed".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
