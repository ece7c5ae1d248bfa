//! `kvraft-server`: a thin HTTP face over a [`kvraft::ReplicatedMap`], with its command line.
//!
//! The program is the product. This library exists so that its own tests, and the benchmarks of
//! the workspace, can start local clusters of the program the way `kvraft-server demo` does; its
//! names are not covered by semantic versioning.
#![forbid(unsafe_code)]

mod args;
#[doc(hidden)]
pub mod demo;
mod healthcheck;
mod http;
mod layers;
mod log;
mod secret;
mod serve;
mod settings;
mod shutdown;

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
    let done = match action {
        Action::Serve(flags) => serve::run(flags),
        Action::Demo(options) => demo::run(&options),
        Action::GenSecret => secret::run(),
        Action::Healthcheck(url) => healthcheck::run(url),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // As above.
            drop(writeln!(std::io::stderr(), "kvraft-server: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
