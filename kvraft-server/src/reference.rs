//! The reference of the command line in `docs/cli.md` is what `--help` says.

use std::path::Path;

use clap::Command;

use crate::args;
use crate::client::Kind;

/// What precedes the part that is made of `--help`.
const MARK: &str = "<!-- From here on it is made of --help: KVRAFT_BLESS=1 cargo test -p kvraft-server --lib reference -->\n";
/// These have so many settings that their own `--help` is the better place.
const ELSEWHERE: [&str; 3] = ["serve", "demo", "help"];
const NODES: &str = "\nNodes:\n";

fn reference() -> String {
    let mut program = args::command();
    program.build();
    let mut text = String::from("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (code, meaning) in Kind::CODES {
        text.push_str(&format!("| {code} | {meaning} |\n"));
    }
    let mut nodes = String::new();
    let mut commands = String::new();
    for command in program.get_subcommands_mut() {
        if !ELSEWHERE.contains(&command.get_name()) {
            add(command, &mut commands, &mut nodes);
        }
    }
    text.push_str("\n## Flags of all commands that ask nodes\n\n```text\n");
    text.push_str(&nodes);
    text.push_str("```\n\n## Commands\n");
    text + &commands
}

/// Adds a command, without the flags that all commands have, and those that it knows itself.
fn add(command: &mut Command, text: &mut String, nodes: &mut String) {
    let help = command.render_help().to_string();
    let (own, others) = help.split_once(NODES).unwrap_or((&help, ""));
    let (flags, after) = others.split_once("\n\n").unwrap_or((others, ""));
    if nodes.is_empty() && !flags.is_empty() {
        nodes.push_str(&format!("{}\n", flags.trim_end()));
    }
    let name = command.get_bin_name().unwrap_or_default().replace("kvraft-server ", "");
    text.push_str(&format!("\n### {name}\n\n```text\n{}\n", own.trim_end()));
    if !after.trim().is_empty() {
        text.push_str(&format!("\n{}\n", after.trim_end()));
    }
    text.push_str("```\n");
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        add(below, text, nodes);
    }
}

#[test]
fn the_reference_of_the_command_line_is_what_help_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let found = std::fs::read_to_string(&file).unwrap();
    let (prose, _) = found.split_once(MARK).expect("the mark in docs/cli.md");
    let wanted = format!("{prose}{MARK}{}", reference());
    if std::env::var_os("KVRAFT_BLESS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
        return;
    }
    assert!(
        found == wanted,
        "docs/cli.md is out of date; run `KVRAFT_BLESS=1 cargo test -p kvraft-server --lib \
         reference` and commit it"
    );
}
