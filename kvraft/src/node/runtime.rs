//! `Runtime` is the threads that a node runs on, apart from those of its host.
//!
//! A host that blocks its own executor for seconds must not cost the cluster its leader.

use std::future::Future;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

use crate::error::{Error, Result};

/// Threads of one node: consensus is one task after another, transport and reads fill the second.
const WORKERS: usize = 2;

/// A tokio runtime that may be dropped anywhere, on a thread of an executor too.
#[derive(Debug)]
pub(super) struct Runtime(Option<tokio::runtime::Runtime>);

impl Runtime {
    pub(super) fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("kvraft")
            .enable_all()
            .build()
            .map_err(|error| {
                Error::storage("the threads of the node cannot be started").with_source(error)
            })?;
        Ok(Self(Some(runtime)))
    }

    pub(super) fn handle(&self) -> Result<&Handle> {
        self.0
            .as_ref()
            .map(tokio::runtime::Runtime::handle)
            .ok_or_else(|| Error::closed("the map is closed; open it again"))
    }

    /// Runs `work` here and returns its result wherever the caller is; a caller that goes away
    /// ends it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let task = self.handle()?.spawn(work);
        let guard = AbortOnDrop(task.abort_handle());
        let result = task.await;
        drop(guard);
        ended(result)
    }

    /// As [`run`](Self::run), but the work goes on when its caller goes away.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        ended(self.handle()?.spawn(work).await)
    }
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
pub(super) struct AbortOnDrop(AbortHandle);

impl AbortOnDrop {
    pub(super) const fn new(task: AbortHandle) -> Self {
        Self(task)
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
