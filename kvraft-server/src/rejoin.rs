//! A node that was removed from its cluster, and is started again, joins anew.
//!
//! Only who was removed *before it started* is wanted back: a node that is being removed while it runs
//! keeps its place empty until somebody starts it again.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use kvraft::ReplicatedMap;

/// How long one wait may take; there is always another one.
const INTERVAL: Duration = Duration::from_secs(600);

/// Moves the data directory of a node aside that was removed, so that it joins as another one of its name.
pub(crate) fn begin_anew(data_dir: &Path) -> Result<()> {
    if kvraft::is_removed(data_dir)? {
        let aside = kvraft::set_aside(data_dir)?;
        tracing::warn!(
            path = %aside.path.display(),
            "was removed from its cluster, and joins anew; moved its former data"
        );
    }
    Ok(())
}

/// Waits until the node learns, before it was ready for the first time, that it was removed; for ever if it
/// does not.
pub(crate) async fn learned_at_start(map: &ReplicatedMap, data_dir: &Path) {
    while map.wait_ready(INTERVAL).await.is_err() {
        if map.status().failure.is_some() {
            if kvraft::is_removed(data_dir).unwrap_or(false) {
                return;
            }
            break;
        }
    }
    pending::<()>().await;
}
