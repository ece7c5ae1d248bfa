//! `completions` and `man` are made of the command line itself.

use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

pub(crate) fn commands() -> [Command; 2] {
    [
        Command::new("completions")
            .about("Print what a shell needs to complete this command line")
            .arg(
                Arg::new("shell")
                    .value_name("SHELL")
                    .value_parser(value_parser!(Shell))
                    .required(true)
                    .help("bash, zsh, fish, elvish or powershell"),
            ),
        Command::new("man").about("Print the manual page, or write all of them").arg(
            Arg::new("dir")
                .long("dir")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Write the pages of all commands to this directory"),
        ),
    ]
}

/// Prints the script for a shell.
pub(crate) fn completions(mut command: Command, matches: &ArgMatches) -> Result<()> {
    let shell = *matches.get_one::<Shell>("shell").context("no shell")?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "kvraft-server", &mut script);
    io::stdout().write_all(&script).context("cannot write")
}

/// Prints the page of the program, or writes that of each command to a directory.
pub(crate) fn man(command: Command, matches: &ArgMatches) -> Result<()> {
    if let Some(dir) = matches.get_one::<PathBuf>("dir") {
        std::fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(command, dir))
            .with_context(|| format!("cannot write to {}", dir.display()))?;
        return Ok(());
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("cannot make the page")?;
    io::stdout().write_all(&page).context("cannot write")
}
