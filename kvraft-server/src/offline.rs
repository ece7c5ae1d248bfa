//! The commands that work on the files of a node that does not run.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use kvraft::{RestoreOptions, Restored, Verified};

use crate::client::URLS;
use crate::command::with_nodes;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Restore(RestoreOptions),
    VerifyBackup(PathBuf),
    VerifyDataDir(PathBuf),
    SetAside(PathBuf),
    RecoverQuorum { data_dir: PathBuf, into: PathBuf, yes: bool },
}

/// What is told to whoever has not said yes.
const WARNING: &str = "this makes a new cluster of what this one node has. Every write that was \
    acknowledged and did not reach this node is LOST. Everything in its own log is kept, committed \
    or not. It is for a cluster whose majority will never come back: restart the others instead if \
    you can, take the member whose log ends in the highest term, and of those the one with the highest last \
    entry (`verify` prints both: last log term, last log entry), and make sure that no other member of the old cluster runs on. To go on, add --yes-lose-writes";

pub(crate) fn commands() -> [Command; 4] {
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
        with_nodes(Command::new("verify"))
            .about("Read every byte of a backup, or of a stopped node; or compare running members")
            .after_help(
                "With --url all members note the hash of their state at one moment, and the hashes \
                 are compared: a member that has not the state of the majority takes itself out \
                 and fetches that one. The exit code is 1 if anything is damaged, or if the \
                 members do not agree.",
            )
            .arg(path("backup", "FILE").help("The backup"))
            .arg(path("data-dir", "DIR").help("The directory of a node that does not run"))
            .group(ArgGroup::new("what").args(["backup", "data-dir", URLS]).required(true)),
        with_nodes(Command::new("refill"))
            .about("Give a node whose state is damaged or wrong that of the other members")
            .after_help(
                "A node that runs (--url) keeps its log and its id: it serves no reads until it has \
                 the state of another member. The directory of a stopped node (--data-dir) in which \
                 anything is damaged is moved aside; start the node as before, and it joins as a \
                 new disk of its name, which takes the place of the old one.",
            )
            .arg(path("data-dir", "DIR").help("The directory of a node that does not run"))
            .group(ArgGroup::new("which").args(["data-dir", URLS]).required(true)),
        Command::new("recover-quorum")
            .about("LOSES WRITES: make a new cluster of one stopped node, if the majority is gone for good")
            .after_help(WARNING)
            .arg(path("data-dir", "DIR").required(true).help("The node; its directory is kept"))
            .arg(path("into", "DIR").required(true).help(
                "The directory of the new cluster's first node: one that is empty, or missing",
            ))
            .arg(
                Arg::new("yes-lose-writes")
                    .long("yes-lose-writes")
                    .action(ArgAction::SetTrue)
                    .help("Say that you know what is lost"),
            ),
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
    if name == "recover-quorum" {
        return Order::RecoverQuorum {
            data_dir: path("data-dir").unwrap_or_default(),
            into: path("into").unwrap_or_default(),
            yes: matches.get_flag("yes-lose-writes"),
        };
    }
    if name == "refill" {
        return Order::SetAside(path("data-dir").unwrap_or_default());
    }
    match path("backup") {
        Some(file) => Order::VerifyBackup(file),
        None => Order::VerifyDataDir(path("data-dir").unwrap_or_default()),
    }
}

pub(crate) fn run(order: &Order) -> Result<()> {
    match order {
        Order::Restore(options) => told(&kvraft::restore(options)?),
        Order::VerifyBackup(file) => tell(&kvraft::verify_backup(file)?),
        Order::RecoverQuorum { yes: false, .. } => bail!("nothing was done: {WARNING}"),
        Order::RecoverQuorum { data_dir, into, yes: true } => {
            let recovered = kvraft::recover_quorum(data_dir, into)?;
            let (name, last, committed) = (&recovered.name, recovered.last, recovered.committed);
            let mut out = std::io::stdout().lock();
            writeln!(
                out,
                "node {name}: kept its log up to entry {last}, of which it knew {committed} and \
                 all before it to be committed; start it from {}",
                into.display()
            )?;
            told(&recovered.restored)
        }
        Order::SetAside(data_dir) => {
            let aside = kvraft::set_aside(data_dir)?;
            let mut out = std::io::stdout().lock();
            for damage in &aside.damage {
                writeln!(out, "DAMAGED {damage}")?;
            }
            writeln!(
                out,
                "moved to {}; start the node as before, with its name and --members or --join: the \
                 others fill it, and it takes the place of its old self",
                aside.path.display()
            )
            .context("cannot write")
        }
        Order::VerifyDataDir(data_dir) => tell(&kvraft::verify_data_dir(data_dir)?),
    }
}

fn told(restored: &Restored) -> Result<()> {
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
