//! The commands that work on the files of a node that does not run.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use kvraft::{Recovered, RestoreOptions, Restored, SetAside, Verified};
use serde_json::{Map, Value, json};

use crate::client::{Failure, URLS};
use crate::command::{json_arg, with_nodes_unless};

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
            )
            .arg(json_arg()),
        with_nodes_unless(&["backup", "data-dir"], Command::new("verify"))
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
        with_nodes_unless(&["data-dir"], Command::new("refill"))
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
            )
            .arg(json_arg()),
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

/// What is said of what was done, for people and for programs.
struct Word {
    text: String,
    document: Value,
    /// What keeps it from being a success.
    fault: Option<String>,
}

/// Does it, and says what came of it: in JSON if programs read it.
pub(crate) fn run(order: &Order, json: bool) -> Result<()> {
    let Word { text, document, fault } = match order {
        Order::Restore(options) => restored(&kvraft::restore(options)?),
        Order::VerifyBackup(file) => verified(&kvraft::verify_backup(file)?),
        Order::RecoverQuorum { yes: false, .. } => {
            return Err(Failure::usage(format!("nothing was done: {WARNING}")));
        }
        Order::RecoverQuorum { data_dir, into, yes: true } => {
            recovered(&kvraft::recover_quorum(data_dir, into)?, into)
        }
        Order::SetAside(data_dir) => set_aside(&kvraft::set_aside(data_dir)?),
        Order::VerifyDataDir(data_dir) => verified(&kvraft::verify_data_dir(data_dir)?),
    };
    let mut out = std::io::stdout().lock();
    if json { writeln!(out, "{document}") } else { out.write_all(text.as_bytes()) }
        .context("cannot write")?;
    fault.map_or(Ok(()), |fault| bail!(fault))
}

fn recovered(recovered: &Recovered, into: &Path) -> Word {
    let (name, last, committed) = (&recovered.name, recovered.last, recovered.committed);
    let Word { text, document, .. } = restored(&recovered.restored);
    let text = format!(
        "node {name}: kept its log up to entry {last}, of which it knew {committed} and all before \
         it to be committed; start it from {}\n{text}",
        into.display()
    );
    let document = json!({
        "name": name, "lastLog": last, "committed": committed, "restored": document,
    });
    Word { text, document, fault: None }
}

fn set_aside(aside: &SetAside) -> Word {
    let damage: String = aside.damage.iter().map(|damage| format!("DAMAGED {damage}\n")).collect();
    let text = format!(
        "{damage}moved to {}; start the node as before, with its name and --members or --join: the \
         others fill it, and it takes the place of its old self\n",
        aside.path.display()
    );
    let document = json!({ "movedTo": aside.path.to_string_lossy(), "damage": aside.damage });
    Word { text, document, fault: None }
}

fn restored(restored: &Restored) -> Word {
    let Restored { cluster, node_id, next_revision, backup, .. } = restored;
    let text = format!(
        "cluster {cluster} with node {node_id}: {} entries, as of revision {} of cluster {}; \
         revisions go on from {next_revision}\n",
        backup.entries, backup.revision, backup.cluster,
    );
    let document = json!({
        "clusterID": cluster,
        "nodeID": node_id,
        "nextRevision": next_revision,
        "backup": {
            "clusterID": backup.cluster,
            "revision": backup.revision,
            "entries": backup.entries,
            "bytes": backup.bytes,
        },
    });
    Word { text, document, fault: None }
}

/// Tells what was found; damage is a fault.
fn verified(verified: &Verified) -> Word {
    let mut text = String::new();
    let facts = verified.facts.iter().map(|(name, fact)| format!("{name}: {fact}\n"));
    let counts = verified.counts.iter().map(|(name, count)| format!("{name}: {count}\n"));
    let damage = verified.damage.iter().map(|damage| format!("DAMAGED {damage}\n"));
    text.extend(facts.chain(counts).chain(damage));
    let all = verified.damage.len() as u64 + verified.more_damage;
    let fault = if verified.is_sound() {
        text.push_str("sound\n");
        None
    } else {
        Some(format!("{all} damaged, of which {} are named", verified.damage.len()))
    };
    let facts: Map<_, _> = verified
        .facts
        .iter()
        .map(|(name, fact)| ((*name).to_owned(), fact.as_str().into()))
        .collect();
    let counts: Map<_, _> =
        verified.counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into())).collect();
    let document = json!({
        "sound": verified.is_sound(),
        "facts": facts,
        "counts": counts,
        "damage": verified.damage,
        "damaged": all,
    });
    Word { text, document, fault }
}
