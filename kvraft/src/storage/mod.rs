//! `Storage` is all of a node that lives on its disk.

mod env;
mod pressure;

use crate::error::Result;

/// Waits for the log: a checkpoint must never be ahead of what recovery can read.
pub(crate) trait LogBarrier: Send + Sync + 'static {
    /// Returns when every log operation submitted before this call is durable. Blocks.
    fn flush(&self) -> Result<()>;
}
