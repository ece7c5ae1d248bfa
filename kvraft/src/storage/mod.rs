//! `Storage` is all of a node that lives on its disk.

mod apply;
mod buffer;
mod checkpoint;
mod env;
mod generation;
mod pressure;
mod session;
mod snapshot;
mod snapshot_item;
mod snapshot_sink;
mod state;
mod state_disk;
mod state_env;
mod state_machine;
mod state_record;
mod view;

use crate::error::Result;

/// Waits for the log: a checkpoint must never be ahead of what recovery can read.
pub(crate) trait LogBarrier: Send + Sync + 'static {
    /// Returns when every log operation submitted before this call is durable. Blocks.
    fn flush(&self) -> Result<()>;
}
