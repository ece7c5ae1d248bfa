//! `token new` prints a fresh token for the HTTP interface, with its line for the token file.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command};

use crate::tokens::{self, Role};

/// Which token is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    role: Role,
    name: Option<String>,
}

pub(crate) fn command() -> Command {
    let roles = Role::ALL.map(Role::name);
    Command::new("token")
        .about("Tokens for the HTTP interface")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("new")
                .about("Print a fresh token, and the line of it for the file of --token-file")
                .arg(
                    Arg::new("role")
                        .long("role")
                        .value_name("ROLE")
                        .value_parser(clap::builder::PossibleValuesParser::new(roles))
                        .required(true)
                        .help("What it may do; each role may do what those before it may"),
                )
                .arg(Arg::new("name").long("name").value_name("NAME").help(
                    "Who has it; tokens of one name share their idempotency keys [default: made up]",
                )),
        )
}

/// Reads what was asked for; the parser has checked the role.
pub(crate) fn wanted(matches: &ArgMatches) -> Wanted {
    let matches = matches.subcommand_matches("new").unwrap_or(matches);
    let role = matches.get_one::<String>("role").and_then(|role| role.parse().ok());
    Wanted { role: role.unwrap_or(Role::Read), name: matches.get_one::<String>("name").cloned() }
}

/// Prints the token and its line. Neither is kept anywhere.
pub(crate) fn run(wanted: &Wanted) -> Result<()> {
    let made = tokens::generate(wanted.role, wanted.name.as_deref())?;
    writeln!(
        std::io::stderr(),
        "The token, which is shown this once, and the line for the file of --token-file:"
    )
    .context("cannot write")?;
    writeln!(std::io::stdout(), "{}\n{}", made.token, made.line).context("cannot write the token")
}
