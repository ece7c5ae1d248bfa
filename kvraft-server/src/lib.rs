//! `kvraft-server`: a thin HTTP face over a [`kvraft::ReplicatedMap`], with its command line.
//!
//! The program is the product. This library exists so that its own tests, and the benchmarks of
//! the workspace, can start local clusters of the program the way `kvraft-server demo` does; its
//! names are not covered by semantic versioning.
#![forbid(unsafe_code)]

mod args;
mod client;
mod command;
#[doc(hidden)]
pub mod demo;
mod given;
mod http;
mod http_settings;
mod layers;
mod log;
mod notify;
mod offline;
mod own_url;
mod printed;
#[cfg(test)]
mod reference;
mod rejoin;
mod reloaded;
mod secret;
mod serve;
mod settings;
mod shutdown;
mod token;
mod tokens;
mod traces;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::args::Action;

/// Runs the program with these arguments, the first of which is its name.
///
/// What is meant for programs goes to the standard output, everything else to the standard error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let action = match args::parse(arguments) {
        Ok(action) => action,
        Err(usage) => {
            // Nobody is left to tell when the terminal is gone.
            drop(usage.print());
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let answers = matches!(action, Action::Ask(..) | Action::Completions(_) | Action::Man(_));
    let done = match action {
        Action::Serve(flags) => serve::run(flags),
        Action::PrintConfig(flags) => printed::print(flags),
        Action::Check(flags) => printed::check(flags),
        Action::Demo(options) => demo::run(&options),
        Action::Offline(order, json) => offline::run(&order, json),
        Action::Ask(name, matches) => command::run(name, matches),
        Action::GenSecret => secret::run(),
        Action::Token(wanted) => token::run(&wanted),
        Action::Wait(time) => {
            // Whoever wakes it early does so by a signal, which ends it.
            std::thread::park_timeout(time);
            Ok(())
        }
        Action::Completions(matches) => command::manual::completions(args::command(), &matches),
        Action::Man(matches) => command::manual::man(args::command(), &matches),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever has read enough of an answer has closed the pipe.
        Err(error) if answers && client::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // As above.
            drop(writeln!(std::io::stderr(), "kvraft-server: {}", told(&error)));
            ExitCode::from(client::code(&error))
        }
    }
}

/// Tells an error with its causes, each once: some say theirs themselves.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.ends_with(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::told;

    #[test]
    fn a_cause_that_is_told_already_is_not_told_again() {
        let inner = || Err::<(), _>(std::io::Error::other("on fire"));
        let plain = inner().context("the disk failed").unwrap_err();
        assert_eq!(told(&plain), "the disk failed: on fire");
        let verbose = inner().context("the disk failed: on fire").unwrap_err();
        assert_eq!(told(&verbose), "the disk failed: on fire");
    }
}
