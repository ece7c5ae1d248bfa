//! A command that has run, with all that it said.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::single::command;

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// What it wrote, after checking that it was successful.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        String::from_utf8(self.stdout).unwrap()
    }

    /// What it complained of, after checking its exit code.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.starts_with("kvraft-server: ") || code == 2, "{self:?}");
        self.stderr
    }

    /// Each line of its output as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Vec<Value> {
        let lines = self.done();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A command for nodes at these URLs.
pub(crate) fn asking(urls: &[&str], arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("KVRAFT_URL", urls.join(","));
    command
}

/// Runs a command for nodes at these URLs.
pub(crate) fn ask(urls: &[&str], arguments: &[&str]) -> Ran {
    Ran::of(asking(urls, arguments).output().unwrap())
}

/// Runs a command that reads this.
pub(crate) fn ask_with(urls: &[&str], arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = asking(urls, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its input does not read it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran::of(output)
}
