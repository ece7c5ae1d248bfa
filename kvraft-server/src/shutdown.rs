//! `Shutdown` hears when the process is asked to stop.

use std::future::pending;
use std::io::Read as _;

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The ways in which a process is asked to stop.
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
    stdin: Option<oneshot::Receiver<()>>,
}

impl Shutdown {
    /// Takes the signals over; from here on they no longer end the process by themselves.
    pub(crate) fn listen(with_stdin: bool) -> Result<Self> {
        let taken = "cannot take over the signals";
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context(taken)?,
            terminate: signal(SignalKind::terminate()).context(taken)?,
            stdin: with_stdin.then(end_of_stdin).transpose()?,
        })
    }

    /// Waits until the process is asked to stop, and says how. A second call hears the next one.
    pub(crate) async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            () = ended(&mut self.stdin) => "end of standard input",
        }
    }
}

/// Standard input ends once.
async fn ended(stdin: &mut Option<oneshot::Receiver<()>>) {
    let Some(end) = stdin else { return pending().await };
    // The sender is dropped at the end, however it comes.
    drop(end.await);
    *stdin = None;
}

/// Reads standard input to its end on a thread that nobody waits for: a read cannot be called off.
fn end_of_stdin() -> Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    let read = move || {
        let mut buffer = [0; 1024];
        while matches!(std::io::stdin().read(&mut buffer), Ok(1..)) {}
        drop(ended);
    };
    std::thread::Builder::new()
        .name("kvraft-stdin".to_owned())
        .spawn(read)
        .context("cannot start a thread")?;
    Ok(end)
}
