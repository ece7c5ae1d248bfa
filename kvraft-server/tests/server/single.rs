//! A node without a cluster, as a process whose flags are the test's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use kvraft_server::demo::client::{Client, Failure};
use kvraft_server::demo::stop::Stop;

use crate::common::PROGRAM;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A node without a cluster, whose flags are the test's.
pub(crate) struct Single {
    pub(crate) child: Child,
    pub(crate) stdout: BufReader<ChildStdout>,
    pub(crate) url: String,
}

impl Drop for Single {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("KVRAFT_") {
            command.env_remove(variable);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

impl Single {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.split(' ').find_map(|word| word.strip_prefix("http="));
        let url = format!("http://{}", address.unwrap_or_else(|| panic!("{line:?}")).trim());
        Self { child, stdout, url }
    }

    pub(crate) fn on(dir: &Path) -> Self {
        let dir = dir.to_str().unwrap();
        Self::start(&mut command(&["--data-dir", dir, "--listen-http=127.0.0.1:0"]))
    }

    /// Begins to put a value of five bytes, and sends only the first two.
    pub(crate) fn begin_put(&self) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The interim answer says that the request has reached its handler.
        let head = "PUT /key/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\
                    expect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let mut interim = [0; 25];
        stream.read_exact(&mut interim).unwrap();
        assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"va").unwrap();
        stream
    }

    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Waits until it takes no more connections.
    pub(crate) fn wait_closed(&self) {
        let closed = || match TcpStream::connect(self.address()) {
            Ok(_) => Err(Failure::ForNow("it accepts".to_owned())),
            Err(_) => Ok(()),
        };
        Stop::default().retry("close", PATIENCE, closed).unwrap();
    }

    pub(crate) fn wait_ready(&self) {
        let ready = || Client::default().ready(&self.url);
        Stop::default().retry("ready", PATIENCE, ready).unwrap();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, pid: u32) {
    let killed = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(killed.success());
}
