//! The program `kvraft-server`; its rooms are in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    kvraft_server::run(std::env::args_os())
}
