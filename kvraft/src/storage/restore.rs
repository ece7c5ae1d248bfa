//! `Restore` makes the data directory of a new cluster from a backup.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::LOG_MAP_BYTES;
use super::backup_file::{BackupFile, check_backup};
use super::backup_frame::BackupHeader;
use super::dir::DataDir;
use super::generation::Generations;
use super::log_disk::{Batch, LogDisk, Record};
use super::log_lmdb::LmdbLog;
use super::registry::put_identity;
use super::state_options::StateOptions;
use super::state_record::{Founding, Meta};
use crate::codec::Writer;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::raft::{LogId, Member, Membership, StoredMembership, Vote};
use crate::record;

/// How far the next revision is above the highest known one: what the lost cluster may have given
/// out since is below it, at a million writes a second for twelve days.
const REVISION_GAP: u64 = 1 << 40;

/// What is to be made of a backup.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestorePlan<'a> {
    pub(crate) from: &'a Path,
    pub(crate) data_dir: &'a Path,
    /// The name of the one member.
    pub(crate) name: &'a str,
    /// A revision that is known to have been given out, if it is above that of the backup.
    pub(crate) above: u64,
}

/// What came of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) from: BackupHeader,
    pub(crate) cluster_id: u128,
    pub(crate) node_id: u64,
    /// No revision before it was ever given out by the new cluster.
    pub(crate) next_revision: u64,
}

/// Checks the whole backup, then writes the directory. Killed at any moment, it leaves either
/// nothing that can be opened, or all of it.
///
/// # Errors
/// `Corrupt` for a damaged backup, `Refused` for one of a newer kvraft or a directory that is not
/// empty, `Full` or `Storage` if the disk refuses.
pub(crate) fn restore(plan: RestorePlan<'_>, environment: &Environment) -> Result<Restored> {
    let check = check_backup(plan.from)?;
    let header = match check.header {
        Some(header) if check.damage.is_none() => header,
        Some(_) | None => return Err(check.refusal()),
    };
    let restored = draw(plan, header, environment)?;
    let dir = Arc::new(DataDir::begin(plan.data_dir)?);
    write_state(plan, &restored, &dir)?;
    write_log(plan, &restored, &dir, environment)?;
    dir.finish()?;
    Ok(restored)
}

/// Draws the ids of the new cluster, and says where its revisions begin.
fn draw(plan: RestorePlan<'_>, from: BackupHeader, environment: &Environment) -> Result<Restored> {
    let failed = |error| Error::storage("cannot draw an id for this node").with_source(error);
    let highest = from.revision.max(plan.above);
    // A revision fits into the numbers of every language, signed ones too.
    let next_revision = highest
        .checked_add(REVISION_GAP)
        .filter(|next| i64::try_from(*next).is_ok_and(|next| next < i64::MAX / 2))
        .ok_or_else(|| Error::invalid(format!("no revisions are left above {highest}")))?;
    Ok(Restored {
        from,
        cluster_id: environment.random_u128().map_err(failed)?,
        node_id: environment.random_u64().map_err(failed)?,
        next_revision,
    })
}

impl Restored {
    /// The log of the new cluster goes on behind the entries that the state holds.
    const fn applied(&self) -> LogId {
        self.from.applied
    }

    /// Makes the meta record of the new cluster: another founding, one member.
    fn meta(&self, name: &str, old: &Meta) -> Result<Meta> {
        let Some(founding) = old.founding else {
            return Err(Error::corrupt("the backup is of a cluster that was never founded"));
        };
        let revision_base = self
            .next_revision
            .checked_sub(self.applied().index.saturating_add(1))
            .ok_or_else(|| Error::corrupt("the backup has a log index beyond its revision"))?;
        // Where it is reached, the node itself records when it runs.
        let member = Member { name: name.to_owned(), ..Member::default() };
        let membership =
            Membership::new(vec![[self.node_id].into()], BTreeMap::from([(self.node_id, member)]));
        let membership = membership.map_err(|error| {
            Error::internal("a membership of one is refused").with_source(error)
        })?;
        Ok(Meta {
            founding: Some(Founding { cluster_id: self.cluster_id, revision_base, ..founding }),
            membership: Arc::new(StoredMembership::new(Some(self.applied()), membership)),
            ..old.clone()
        })
    }
}

fn write_state(plan: RestorePlan<'_>, restored: &Restored, dir: &DataDir) -> Result<()> {
    let root = dir.state_path();
    let stage = Generations::stage_first(&root, StateOptions::DEFAULT_MAP_BYTES, restored.node_id)?;
    let staged =
        BackupFile::read(plan.from, stage)?.finish(|meta| restored.meta(plan.name, &meta))?;
    Generations::install_first(&root, staged)
}

/// Writes a log that has been purged up to the state, with the vote under which that was applied.
fn write_log(
    plan: RestorePlan<'_>,
    restored: &Restored,
    dir: &Arc<DataDir>,
    environment: &Environment,
) -> Result<()> {
    let failed = |error| {
        Error::storage("cannot write the log: check the disk and its space").with_source(error)
    };
    let applied = restored.applied();
    let identity = Identity {
        name: plan.name.to_owned(),
        node_id: restored.node_id,
        start: 1,
        nonce: environment.random_u64().map_err(failed)?,
    };
    let vote = Vote::new_committed(**applied.committed_leader_id(), restored.node_id);
    let records = [
        (Record::Purged, body(|out| record::put_log_id(out, &applied))),
        (Record::Committed, body(|out| out.put_option(Some(&applied), record::put_log_id))),
        (Record::Vote, body(|out| record::put_vote(out, &vote))),
        (Record::Cluster, body(|out| out.put_u128(restored.cluster_id))),
        (Record::Identity, body(|out| put_identity(out, &identity))),
    ];
    let mut log = LmdbLog::open(Arc::clone(dir), LOG_MAP_BYTES)?;
    let batch = Batch { records: records.into(), ..Batch::default() };
    log.write(&batch).and_then(|_| log.sync()).map_err(failed)
}

fn body(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}
