//! `Process` is the example `member` as a child that can be killed like a machine.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// A member with its own pid.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    pub(crate) answers: Receiver<(u64, String)>,
    pub(crate) early: HashMap<u64, String>,
    sent: u64,
}

impl Process {
    /// Starts the example with these settings and waits until it has opened its directory.
    pub(crate) fn start(settings: &[(&str, String)]) -> Result<Self, String> {
        Self::start_by(Command::new(member()), settings)
    }

    /// The same by a command that runs the example at its end, in the same process.
    pub(crate) fn start_by(command: Command, settings: &[(&str, String)]) -> Result<Self, String> {
        let mut process = Self::begin(command, settings);
        let opened = process.wait(0);
        if opened == "ok open" { Ok(process) } else { Err(opened) }
    }

    /// The same, but goes on at once: the opening is answered as command 0.
    pub(crate) fn begin(mut command: Command, settings: &[(&str, String)]) -> Self {
        let mut child = command
            .args(settings.iter().map(|(name, value)| format!("{name}={value}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the example is built with the tests");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let (number, text) = line.split_once(' ').expect("a numbered answer");
                if sender.send((number.parse().expect("a number"), text.to_owned())).is_err() {
                    return;
                }
            }
        });
        Self { child, input, answers, early: HashMap::new(), sent: 0 }
    }

    /// Sends a command and returns its number, without waiting for the answer.
    pub(crate) fn send(&mut self, command: &str) -> u64 {
        self.sent += 1;
        // A child that was killed answers nothing; the caller sees that when it waits.
        drop(writeln!(self.input, "{command}"));
        self.sent
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        let number = self.send(command);
        self.wait(number)
    }

    /// Waits for the answer to a command; a dead child answers `gone`.
    pub(crate) fn wait(&mut self, number: u64) -> String {
        loop {
            if let Some(text) = self.early.remove(&number) {
                return text;
            }
            match self.answers.recv_timeout(PATIENCE) {
                Ok((other, text)) => drop(self.early.insert(other, text)),
                Err(RecvTimeoutError::Disconnected) => return "gone".to_owned(),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("command {number} was not answered in {PATIENCE:?}")
                }
            }
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Kills the process as a power cut does, without a word.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The example's binary: beside this test's own directory.
pub(crate) fn member() -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let profile = own.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    profile.join("examples").join("member")
}

/// Free UDP addresses. They are given back before the children take them, so another process may
/// be quicker; then the child says so and the test fails.
pub(crate) fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let sockets: Vec<_> =
        (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a free port")).collect();
    sockets.iter().map(|socket| socket.local_addr().expect("bound")).collect()
}

/// The settings of member `n` of a cluster.
pub(crate) fn settings(
    root: &Path,
    addresses: &[SocketAddr],
    n: usize,
) -> Vec<(&'static str, String)> {
    let members = addresses
        .iter()
        .enumerate()
        .map(|(i, address)| format!("n{i}={address}"))
        .collect::<Vec<_>>();
    vec![
        ("data_dir", root.join(format!("n{n}")).display().to_string()),
        ("name", format!("n{n}")),
        ("listen", addresses[n].to_string()),
        ("members", members.join(",")),
    ]
}
