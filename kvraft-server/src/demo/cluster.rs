//! A cluster of nodes on this machine, each a process of its own.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::client::Client;
use super::ports::{self, Ports};
use super::stop::Stop;
use crate::secret;

/// How long a node may take to open its directory, and a cluster to find a leader.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often ports are chosen anew when another process was faster.
const PORT_ATTEMPTS: u32 = 3;
/// The names of the nodes, in this order.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Where and how the nodes run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program `kvraft-server`.
    pub program: PathBuf,
    /// Holds the data and the log of every node.
    pub dir: PathBuf,
    /// How many nodes, at most five.
    pub nodes: u16,
    /// The ports of the first node; those of the others follow. Port 0 is any.
    pub ports: Ports,
    /// Further flags for each node.
    pub flags: Vec<String>,
}

/// The processes. Dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    plan: Plan,
    nodes: Vec<Node>,
    members: String,
}

/// One node, which may or may not run.
#[derive(Debug)]
pub struct Node {
    name: &'static str,
    ports: Ports,
    process: Option<Process>,
}

/// A node ended by itself before it listened; most likely another process took its port.
#[derive(Debug)]
struct Ended(String);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Ended {}

/// A process that dies with its owner: its standard input ends then.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Killing what has ended already fails, and that is all that can fail here.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Node {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The base URL of its HTTP interface.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.ports.http)
    }

    /// Whether it was started and not killed since.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.0.id())
    }
}

impl Cluster {
    /// Starts the nodes and waits until each is ready.
    ///
    /// # Errors
    /// If a node does not start, with the last it said, or no leader is found in time.
    pub fn start(plan: &Plan, stop: &Stop) -> Result<Self> {
        let mut attempt = 1;
        loop {
            // What an earlier attempt has written knows its ports.
            let dir = plan.dir.join(format!("attempt-{attempt}"));
            std::fs::create_dir_all(&dir).context("cannot make a directory")?;
            match Self::start_once(&Plan { dir, ..plan.clone() }, stop) {
                Err(error) if attempt < PORT_ATTEMPTS && error.is::<Ended>() => attempt += 1,
                started => return started,
            }
        }
    }

    fn start_once(plan: &Plan, stop: &Stop) -> Result<Self> {
        let secret_file = plan.dir.join("secret");
        std::fs::write(&secret_file, secret::generate()?).context("cannot write the secret")?;
        let chosen = ports::choose(plan.ports, plan.nodes)?;
        let nodes: Vec<_> = NAMES
            .into_iter()
            .zip(chosen)
            .map(|(name, ports)| Node { name, ports, process: None })
            .collect();
        let member = |node: &Node| format!("{}=127.0.0.1:{}", node.name, node.ports.raft);
        let members = nodes.iter().map(member).collect::<Vec<_>>().join(",");
        let mut cluster = Self { plan: plan.clone(), nodes, members };
        let mut lines = Vec::new();
        for index in 0..cluster.nodes.len() {
            lines.push(cluster.spawn(index)?);
        }
        for (node, lines) in cluster.nodes.iter().zip(lines) {
            cluster.wait_listening(node, &lines)?;
        }
        cluster.wait_ready(stop)?;
        Ok(cluster)
    }

    /// The nodes, running or not.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The base URLs of the nodes that run.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().filter(|node| node.runs()).map(Node::url).collect()
    }

    /// Waits until every node that runs is ready for requests.
    ///
    /// # Errors
    /// If that takes too long.
    pub fn wait_ready(&self, stop: &Stop) -> Result<()> {
        let client = Client::default();
        for node in self.nodes.iter().filter(|node| node.runs()) {
            let ready = || client.ready(&node.url());
            stop.retry(&format!("wait for {}", node.name), START_PATIENCE, ready).map_err(
                |error| {
                    // Whoever was asked to stop does not wonder why a node did.
                    if stop.is_set() { error } else { error.context(self.last_words(node)) }
                },
            )?;
        }
        Ok(())
    }

    /// Finds the node that leads: its place among the nodes.
    ///
    /// # Errors
    /// If there is none for too long.
    pub fn leader(&self, stop: &Stop) -> Result<usize> {
        let client = Client::default();
        let leads = |node: &Node| {
            let status = client.status(&node.url()).ok().filter(|_| node.runs())?;
            status.get("isLead")?.as_bool().filter(|leads| *leads)?;
            status.get("term")?.as_u64()
        };
        stop.retry("find the leader", START_PATIENCE, || {
            // A leader that was cut off does not know it yet: the newest term is the true one.
            let terms =
                self.nodes.iter().enumerate().filter_map(|(at, node)| Some((leads(node)?, at)));
            terms.max().map(|(_, at)| at).ok_or_else(|| {
                super::client::Failure::ForNow("no node says that it leads".to_owned())
            })
        })
    }

    /// Ends a node as `kill -9` does.
    pub fn kill(&mut self, at: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.process = None;
        }
    }

    /// Starts a node again on its old directory, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not start, with the last it said.
    pub fn restart(&mut self, at: usize, stop: &Stop) -> Result<()> {
        self.kill(at);
        let lines = self.spawn(at)?;
        let node = self.nodes.get(at).context("no such node")?;
        self.wait_listening(node, &lines)?;
        self.wait_ready(stop)
    }

    fn spawn(&mut self, at: usize) -> Result<mpsc::Receiver<String>> {
        let node = self.nodes.get_mut(at).context("no such node")?;
        let log = File::create(log_path(&self.plan.dir, node.name)).context("cannot make a log")?;
        let mut command = Command::new(&self.plan.program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("KVRAFT_") {
                command.env_remove(variable);
            }
        }
        command
            .args(["serve", "--stop-with-stdin", "--name", node.name])
            .arg("--data-dir")
            .arg(self.plan.dir.join(node.name))
            .arg(format!("--listen-http=127.0.0.1:{}", node.ports.http))
            .arg(format!("--advertise-http=http://127.0.0.1:{}", node.ports.http))
            .arg(format!("--listen=127.0.0.1:{}", node.ports.raft))
            .arg(format!("--members={}", self.members))
            .arg("--cluster-secret-file")
            .arg(self.plan.dir.join("secret"))
            .args(&self.plan.flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let program = self.plan.program.display();
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let stdout = child.stdout.take();
        node.process = Some(Process(child));
        first_line(stdout.context("a child without standard output")?)
    }

    fn wait_listening(&self, node: &Node, lines: &mpsc::Receiver<String>) -> Result<()> {
        let name = node.name;
        match lines.recv_timeout(START_PATIENCE) {
            Ok(line) if line.starts_with("listening ") => Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                bail!("node {name} does not start; {}", self.last_words(node))
            }
            Ok(_) | Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(Ended(format!("node {name} ended; {}", self.last_words(node))).into())
            }
        }
    }

    /// The end of what a node has logged.
    fn last_words(&self, node: &Node) -> String {
        let log = std::fs::read_to_string(log_path(&self.plan.dir, node.name)).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        format!("the last it said:\n{}", last.join("\n"))
    }
}

fn log_path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.log"))
}

/// Waits for the first line on a thread, as a pipe has no deadline, and then keeps the pipe empty.
fn first_line(stdout: ChildStdout) -> Result<mpsc::Receiver<String>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let read = move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok() {
            // Whoever no longer listens has given up on the node.
            drop(sender.send(line));
        }
        let mut rest = [0; 1024];
        while matches!(stdout.read(&mut rest), Ok(1..)) {}
    };
    std::thread::Builder::new()
        .name("kvraft-stdout".to_owned())
        .spawn(read)
        .context("cannot start a thread")?;
    Ok(receiver)
}
