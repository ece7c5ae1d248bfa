//! The commands that work on the files of a node that does not run.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgGroup, ArgMatches, Command, value_parser};
use kvraft::{RestoreOptions, Verified};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Restore(RestoreOptions),
    VerifyBackup(PathBuf),
    VerifyDataDir(PathBuf),
}

pub(crate) fn commands() -> [Command; 2] {
    let path = |name: &'static str, value| {
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(PathBuf))
    };
    [
        Command::new("restore")
            .about("Make the first node of a new cluster out of a backup; no node may use the directory")
            .after_help(
                "The new cluster has another id, and one member: start it, then let other nodes \
                 with empty directories --join it. Revisions begin at least 2^40 above the last \
                 one in the backup. A restore that was killed leaves a directory that no node \
                 opens; run it again.",
            )
            .arg(path("from", "FILE").required(true).help("The backup"))
            .arg(path("data-dir", "DIR").required(true).help("A directory that is empty, or missing"))
            .arg(Arg::new("name").long("name").value_name("NAME").required(true).help(
                "The name of the node, as it will be started with",
            ))
            .arg(
                Arg::new("above")
                    .long("above")
                    .value_name("REVISION")
                    .value_parser(value_parser!(u64))
                    .help(
                        "Begin revisions above this one too: the last one of a cluster that was \
                         made of this backup, or of one that is not newer, before",
                    ),
            ),
        Command::new("verify")
            .about("Read every byte of a backup, or of a stopped node, and name what is damaged")
            .after_help("Nothing is changed. The exit code is 1 if anything is damaged.")
            .arg(path("backup", "FILE").help("The backup"))
            .arg(path("data-dir", "DIR").help("The directory of a node that does not run"))
            .group(ArgGroup::new("what").args(["backup", "data-dir"]).required(true)),
    ]
}

pub(crate) fn order(name: &str, matches: &ArgMatches) -> Order {
    let path = |name| matches.try_get_one::<PathBuf>(name).ok().flatten().cloned();
    if name == "restore" {
        let name: String = matches.get_one("name").cloned().unwrap_or_default();
        let (from, data_dir) = (path("from"), path("data-dir"));
        let options =
            RestoreOptions::new(from.unwrap_or_default(), data_dir.unwrap_or_default(), name);
        let above: Option<&u64> = matches.get_one("above");
        return Order::Restore(options.above(above.copied().unwrap_or_default()));
    }
    match path("backup") {
        Some(file) => Order::VerifyBackup(file),
        None => Order::VerifyDataDir(path("data-dir").unwrap_or_default()),
    }
}

pub(crate) fn run(order: &Order) -> Result<()> {
    match order {
        Order::Restore(options) => restore(options),
        Order::VerifyBackup(file) => tell(&kvraft::verify_backup(file)?),
        Order::VerifyDataDir(data_dir) => tell(&kvraft::verify_data_dir(data_dir)?),
    }
}

fn restore(options: &RestoreOptions) -> Result<()> {
    let restored = kvraft::restore(options)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "cluster {} with node {}: {} entries, as of revision {} of cluster {}; revisions go on \
         from {}",
        restored.cluster,
        restored.node_id,
        restored.backup.entries,
        restored.backup.revision,
        restored.backup.cluster,
        restored.next_revision
    )
    .context("cannot write")
}

/// Tells what was found; damage is an error.
fn tell(verified: &Verified) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, fact) in &verified.facts {
        writeln!(out, "{name}: {fact}")?;
    }
    for (name, count) in &verified.counts {
        writeln!(out, "{name}: {count}")?;
    }
    for damage in &verified.damage {
        writeln!(out, "DAMAGED {damage}")?;
    }
    if verified.is_sound() {
        return writeln!(out, "sound").context("cannot write");
    }
    let all = verified.damage.len() as u64 + verified.more_damage;
    bail!("{all} damaged, of which {} are named", verified.damage.len())
}
