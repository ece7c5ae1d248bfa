//! `Member` is a node in a process of its own, which obeys the one that measures.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail, ensure};
use kvraft::Config;
use kvraft::blocking::ReplicatedMap;

/// The line that makes a member close its node and open it again, which moves leadership away.
const REOPEN: &str = "reopen";
/// The answer to everything that went well.
const DONE: &str = "done";

/// A member as the process that measures sees it. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Member {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Member {
    /// Starts a process of this program with a node of these settings, and waits until it is open.
    pub(crate) fn start(settings: &[String]) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut process = Command::new(program)
            .arg("member")
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the process of a member")?;
        let orders = process.stdin.take().context("the member has no input")?;
        let answers = BufReader::new(process.stdout.take().context("the member has no output")?);
        let mut member = Self { process, orders, answers };
        member.done()?;
        Ok(member)
    }

    /// Returns the id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Has the member close its node and open it again.
    pub(crate) fn reopen(&mut self) -> anyhow::Result<()> {
        writeln!(self.orders, "{REOPEN}").context("the member does not listen")?;
        self.done()
    }

    /// Waits for the answer; a member that dies closes its output, so that this ends.
    fn done(&mut self) -> anyhow::Result<()> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        ensure!(answer.trim_end() == DONE, "a member has failed; see its message above");
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Its data is thrown away with it, so that nothing is lost; a process that has ended
        // already cannot be ended again, and nobody asks how it ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Is a member: opens the node, obeys the lines on standard input, closes the node at their end.
pub(crate) fn serve(settings: &[String]) -> anyhow::Result<()> {
    let mut map = ReplicatedMap::open(config(settings)?)?;
    answer()?;
    for line in std::io::stdin().lines() {
        match line?.as_str() {
            REOPEN => {
                map.close()?;
                map = ReplicatedMap::open(config(settings)?)?;
                answer()?;
            }
            other => bail!("a member does not know what {other:?} means"),
        }
    }
    map.close()?;
    Ok(())
}

/// Makes settings of their texts, `name=value` each.
pub(crate) fn config(settings: &[String]) -> anyhow::Result<Config> {
    let mut config = Config::new("");
    for setting in settings {
        let (name, value) = setting.split_once('=').context("settings are name=value")?;
        config.set(name, value)?;
    }
    Ok(config)
}

fn answer() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{DONE}")?;
    Ok(out.flush()?)
}
