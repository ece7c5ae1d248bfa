//! Runs what asks nodes: on a thread of its own, so that Ctrl-C ends it wherever it waits.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::failure::{Failure, Kind};

/// How long unfinished work may take to put away what it has begun.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a command to its end, or until Ctrl-C.
///
/// A command that waits for its standard input or for whoever reads its output cannot be woken. It
/// is left where it is; the process ends.
pub(crate) fn run<F>(work: impl FnOnce() -> F + Send + 'static) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("kvraft-http")
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    let handle = runtime.handle().clone();
    // Before anything is begun that would have to be put away.
    let mut interrupt = {
        let _inside = runtime.enter();
        signal(SignalKind::interrupt()).context("cannot take over the signals")?
    };
    let (cancel, cancelled) = oneshot::channel::<()>();
    let (done, mut finished) = oneshot::channel();
    let work = move || {
        let result = handle.block_on(async {
            tokio::select! {
                result = work() => Some(result),
                _ = cancelled => None,
            }
        });
        // Nobody waits any more once it was cancelled.
        drop(done.send(result));
    };
    std::thread::Builder::new()
        .name("kvraft-command".to_owned())
        .spawn(work)
        .context("cannot start a thread")?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = &mut finished => result.ok().flatten(),
            _ = interrupt.recv() => {
                // It drops what it holds, and with that the files that are not whole.
                cancel.send(()).unwrap_or_default();
                drop(tokio::time::timeout(GRACE, finished).await);
                Some(Err(Failure::new(Kind::Interrupted, "interrupted").into()))
            }
        }
    });
    runtime.shutdown_background();
    result.unwrap_or_else(|| Err(anyhow!("the command broke off; this is a bug")))
}

/// Whether an error only says that nobody reads the output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let cause = cause.downcast_ref::<io::Error>();
        cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
    })
}
