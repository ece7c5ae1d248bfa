//! `Recovery` makes a new cluster of what one node of a lost one has.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openraft::entry::RaftEntry;

use super::LOG_MAP_BYTES;
use super::apply::Replica;
use super::backup::BackupWriter;
use super::dir::DataDir;
use super::generation::Generations;
use super::log_disk::{LogRead, Record, read_record};
use super::log_lmdb::LmdbLog;
use super::registry::read_identity;
use super::restore::{RestorePlan, Restored, restore};
use super::snapshot::ViewWriter as _;
use super::state_disk::StateDisk as _;
use super::state_options::StateOptions;
use super::view::View;
use crate::codec::Reader;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::record::read_log_id;
use crate::versions::FORMAT_LEVEL;

/// Entries that are applied at a time, in bytes of the log.
const STEP_BYTES: usize = 4 << 20;

/// What was saved of a lost cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recovery {
    pub(crate) restored: Restored,
    /// The name of the node, old and new.
    pub(crate) name: String,
    /// The last entry that the node knew to be committed.
    pub(crate) committed: u64,
    /// The last entry in its log: all up to it were kept.
    pub(crate) last: u64,
}

/// What one node has, brought up to the end of its log.
struct Saved {
    view: Arc<View>,
    name: String,
    committed: u64,
    last: u64,
}

/// Makes a new cluster in `into` of the node in `data_dir`, which keeps what it has.
///
/// Every entry in its log is applied, known to be committed or not: a write that was acknowledged
/// may stand in this log alone without this node having been told so.
///
/// # Errors
/// `Refused` if a node has the directory open, or `into` is not empty; `Corrupt` if anything in the
/// log or the state is damaged; `Full` or `Storage` if the disk refuses.
pub(crate) fn recover(data_dir: &Path, into: &Path, environment: &Environment) -> Result<Recovery> {
    if !data_dir.join("FORMAT").exists() {
        let at = data_dir.display();
        return Err(Error::refused(format!("{at} is no data directory: it has no FORMAT")));
    }
    let saved = save(data_dir)?;
    let file = beside(into);
    write(&saved.view, &file)?;
    let plan = RestorePlan { from: &file, data_dir: into, name: &saved.name, above: 0 };
    let made = restore(plan, environment);
    if let Err(error) = fs::remove_file(&file) {
        tracing::warn!(path = %file.display(), %error, "a file that is not needed any more stays");
    }
    let Saved { name, committed, last, .. } = saved;
    Ok(Recovery { restored: made?, name, committed, last })
}

/// Returns the state of a node with all that is in its log.
fn save(data_dir: &Path) -> Result<Saved> {
    let dir = Arc::new(DataDir::open(data_dir)?);
    let log = LmdbLog::open(Arc::clone(&dir), LOG_MAP_BYTES)?;
    let Some(identity) = read_record(&log, Record::Identity, read_identity)? else {
        return Err(Error::refused("this directory was never a node's: there is nothing to save"));
    };
    let committed =
        read_record(&log, Record::Committed, |reader: &mut Reader| reader.option(read_log_id))?;
    let outline = log.outline()?;
    let map_bytes = StateOptions::DEFAULT_MAP_BYTES;
    let generations = Generations::open(&dir.state_path(), map_bytes, identity.node_id)?;
    if generations.origin()?.node_id != identity.node_id {
        return Err(Error::refused("the log and the state are of two nodes: see `verify`"));
    }
    let mut replica = Replica::new(generations.load()?, FORMAT_LEVEL)?;
    let last = outline.last.map_or(0, |id| id.index);
    let mut next = replica.applied().map_or(0, |id| id.index + 1);
    if outline.first.is_some_and(|first| first > next) {
        return Err(Error::corrupt("the log begins behind the state: entries are missing"));
    }
    while next <= last {
        let entries = log.entries(next..last + 1, STEP_BYTES)?;
        if entries.first().is_none_or(|entry| entry.log_id().index() != next) {
            return Err(Error::corrupt(format!("log entry {next} is missing")));
        }
        for entry in entries {
            next = entry.log_id().index() + 1;
            replica.apply(entry)?;
        }
        replica.take_changes();
    }
    let view = Arc::new(replica.view().to_be_kept());
    let committed = committed.flatten().map_or(0, |id| id.index);
    Ok(Saved { view, name: identity.name, committed, last })
}

/// Writes what was saved as a backup, which the restore checks.
fn write(view: &Arc<View>, file: &Path) -> Result<()> {
    let failed = |error| {
        Error::storage(format!("cannot write {}: check its disk", file.display()))
            .with_source(error)
    };
    let mut writer = BackupWriter::new(view)?;
    let created = File::options().write(true).create_new(true).open(file);
    let mut out = created.map_err(|error| {
        if error.kind() != ErrorKind::AlreadyExists {
            return failed(error);
        }
        Error::refused(format!(
            "{} is in the way, perhaps of a recovery that was killed: move it away, and run this again",
            file.display()
        ))
    })?;
    while let Some(chunk) = writer.next_chunk(view)? {
        out.write_all(&chunk).map_err(failed)?;
    }
    out.sync_all().map_err(failed)
}

/// Returns the path of the file on the way to `into`.
fn beside(into: &Path) -> PathBuf {
    let mut path: OsString = into.components().as_path().as_os_str().to_owned();
    path.push(".recovery");
    path.into()
}
