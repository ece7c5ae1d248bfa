//! `Runtime` is the threads that a node or a client runs on, apart from those of its host.
//!
//! A host that blocks its own executor for seconds must not cost the cluster its leader.

use std::future::Future;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::error::{Error, Result};

/// A tokio runtime that may be dropped anywhere, on a thread of an executor too.
#[derive(Debug)]
pub(crate) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(crate) fn start(workers: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers)
            .thread_name("kvraft")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::storage("the threads of the node cannot be started").with_source(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn handle(&self) -> Result<&Handle> {
        self.0
            .as_ref()
            .map(tokio::runtime::Runtime::handle)
            .ok_or_else(|| Error::closed("the map is closed; open it again"))
    }

    /// Runs `work` here and returns its result wherever the caller is; a caller that goes away
    /// ends it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        run_on(self.handle()?, work).await
    }

    /// As [`run`](Self::run), but the work goes on when its caller goes away.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        // What the host traces goes on in the work.
        ended(self.handle()?.spawn(work.in_current_span()).await)
    }
}

/// Runs `work` on the threads of a runtime; a caller that goes away ends it.
pub(crate) async fn run_on<T: Send + 'static>(
    handle: &Handle,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let task = handle.spawn(work);
    let guard = AbortOnDrop(task.abort_handle());
    let result = task.await;
    drop(guard);
    ended(result)
}

fn ended<T>(result: std::result::Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    result.unwrap_or_else(|error| {
        Err(if error.is_panic() {
            Error::internal("a task of the node panicked; please report it").with_source(error)
        } else {
            Error::closed("the map was closed meanwhile; open it again")
        })
    })
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends a task when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct AbortOnDrop(AbortHandle);

impl AbortOnDrop {
    pub(crate) const fn new(task: AbortHandle) -> Self {
        Self(task)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
