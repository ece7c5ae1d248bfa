//! `offline` is what can be done with the bytes of a node that does not run.

use std::path::Path;

use crate::config::check_name;
use crate::environment::Environment;
use crate::error::Result;
use crate::identity::HexId;
use crate::options::{BackupInfo, Recovered, RestoreOptions, Restored, SetAside, Verified};
use crate::storage::{self, Aside, BackupHeader, Damage, Recovery, RestorePlan};

/// Makes a new cluster out of a backup: the data directory of its first node. Blocks.
///
/// The backup is verified whole before anything is written. Then the directory is made under
/// another cluster id and another node id, so that no node of the former cluster can take part:
/// open it, and have other, empty nodes [`join`](crate::Config::join) it. Revisions go on at least
/// 2^40 above the last one in the backup, so that revisions, fencing tokens and ETags never go back
/// to what the former cluster may have given out since. Leases have the time left that they had.
///
/// It may be killed at any moment: what it leaves then is opened by nobody, and restoring into it
/// again begins anew.
///
/// # Errors
/// `Corrupt` for a damaged backup, which says where; `Refused` for a directory that is not empty, a
/// file that is no backup, or one of a newer kvraft; `InvalidArgument` for a wrong name; `Full` or
/// `Storage` if the disk refuses.
///
/// # Examples
/// See [`ReplicatedMap::backup`](crate::ReplicatedMap::backup).
pub fn restore(options: &RestoreOptions) -> Result<Restored> {
    check_name(&options.name)?;
    let RestoreOptions { from, data_dir, name, above } = options;
    let plan = RestorePlan { from, data_dir, name, above: *above };
    Ok(restored(&storage::restore(plan, &Environment::default())?))
}

/// Makes a new cluster out of one node of a cluster that has lost its majority for good. Blocks.
///
/// **Writes may be lost**: all that were acknowledged and never reached this node. Take the member
/// whose log ends in the highest *term*, and of those the one with the highest last entry
/// ([`verify_data_dir`] tells both): a former leader may have a longer log of writes that nobody
/// acknowledged. First make sure that the others never come back: they would go on as the old cluster, beside this one.
///
/// What survives: the state of this node, and **every** entry in its log, whether it knew that the
/// entry was committed or not. An acknowledged write may be in this log without this node having
/// been told that it was; so is, perhaps, one that was answered with `Indeterminate`. What is not in
/// its log is lost.
///
/// The new cluster is made in `into`, as [`restore`] makes one: another cluster id, another node id,
/// revisions at least 2^40 higher, sessions ended; the same name, leases, locks and request ids. The
/// old directory keeps what it has. Nodes of the old cluster are refused; empty ones `join`. It may
/// be killed at any moment, and run again. Beside `into` it needs room for a copy meanwhile.
///
/// # Errors
/// `Refused` if a node has the directory open, if it is none, or if `into` is not empty; `Corrupt` if
/// anything in it is damaged; `Full` or `Storage` if the disk refuses.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(&old))?;
/// # map.put("k", "v")?;
/// # map.close()?;
/// use kvraft::{Config, blocking::ReplicatedMap};
///
/// let recovered = kvraft::recover_quorum(&old, &new)?;
/// let map = ReplicatedMap::open(Config::new(&new).name(&recovered.name))?;
/// assert_eq!(map.get("k")?.as_deref(), Some(&b"v"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn recover_quorum(data_dir: impl AsRef<Path>, into: impl AsRef<Path>) -> Result<Recovered> {
    let environment = Environment::default();
    let Recovery { restored: made, name, committed, last } =
        storage::recover(data_dir.as_ref(), into.as_ref(), &environment)?;
    Ok(Recovered { restored: restored(&made), name, committed, last })
}

fn restored(made: &storage::Restored) -> Restored {
    Restored {
        cluster: format!("{:032x}", made.cluster_id),
        node_id: HexId(made.node_id).to_string(),
        next_revision: made.next_revision,
        backup: info(&made.from),
    }
}

/// Reads a backup from its first byte to its last and says what is wrong with it. Blocks.
///
/// # Errors
/// `Refused` if it is no backup, or one of a newer kvraft; `Storage` if it cannot be read. Damage
/// is no error but what this is for: see [`Verified::damage`].
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let file = dir.path().join("kept");
/// # let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(dir.path().join("n")))?;
/// # map.put("k", "v")?;
/// let chunks: Vec<_> = map.backup()?.collect::<Result<_, _>>()?;
/// std::fs::write(&file, chunks.concat())?;
/// assert!(kvraft::verify_backup(&file)?.is_sound());
///
/// // What was cut short is found.
/// std::fs::write(&file, &chunks.concat()[..100])?;
/// assert!(!kvraft::verify_backup(&file)?.is_sound());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_backup(file: impl AsRef<Path>) -> Result<Verified> {
    let check = storage::check_backup(file.as_ref())?;
    let mut verified = verified(check.damage);
    if let Some(header) = &check.header {
        verified.facts.push(("cluster", format!("{:032x}", header.cluster_id)));
        verified.counts.extend([
            ("revision", header.revision),
            ("format level", u64::from(header.settings.format_level)),
            ("entries", header.entries),
            ("bytes", header.bytes),
        ]);
    }
    Ok(verified)
}

/// Reads everything that a node has stored, and says what is wrong with it. Blocks.
///
/// Nothing in the directory is changed but its `LOCK`. Every log entry, vote and record, every
/// entry and row of the state is checked against its checksum; the log must have no gap, and all
/// that the state counts and hashes must be what its records add up to.
///
/// # Errors
/// `Refused` if a node has the directory open, if it is none, of a restore that did not finish or of
/// a newer kvraft; `Storage` if it cannot be read. Damage is no error but what this is for: see
/// [`Verified::damage`].
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let data_dir = dir.path();
/// let map = kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(data_dir))?;
/// map.put("k", "v")?;
/// assert!(kvraft::verify_data_dir(data_dir).is_err(), "a node has it open");
/// map.close()?;
/// let verified = kvraft::verify_data_dir(data_dir)?;
/// assert!(verified.is_sound());
/// assert!(verified.counts.contains(&("entries", 1)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify_data_dir(data_dir: impl AsRef<Path>) -> Result<Verified> {
    let inspection = storage::inspect(data_dir.as_ref())?;
    let (counts, facts) = (inspection.counts(), inspection.facts());
    Ok(Verified { counts, facts, ..verified(inspection.damage) })
}

/// Moves the data directory of a stopped node out of the way that is damaged, or whose node was removed from its
/// cluster ([`is_removed`]), so that the node begins anew. Blocks.
///
/// Start the node as before, with its name and the list of members (or
/// [`join`](crate::Config::join)): it takes a new node id, gets all that it had from the other
/// members, and takes the place of its old self by itself. Until then the cluster has one voter less
/// that works. Nothing in the old directory is changed; remove it when nobody needs it any more.
///
/// Unless the node was removed, every byte is read first: this refuses what is not damaged. A node that runs and has met damage in
/// its state alone keeps its id with [`refill`](crate::ReplicatedMap::refill).
///
/// # Errors
/// `Refused` if a node has the directory open, if it is none, if nothing in it is damaged, or if its node was
/// the only member; `Storage` if it cannot be moved.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let data_dir = dir.path().join("n");
/// # kvraft::blocking::ReplicatedMap::open(kvraft::Config::new(&data_dir))?.close()?;
/// let error = kvraft::set_aside(&data_dir).unwrap_err();
/// assert_eq!(error.kind(), kvraft::ErrorKind::Refused, "nothing is damaged");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn set_aside(data_dir: impl AsRef<Path>) -> Result<SetAside> {
    let Aside { path, damage } = storage::set_aside(data_dir.as_ref())?;
    Ok(SetAside::new(path, damage))
}

/// Returns whether the node of this data directory was removed from its cluster, and learned that. Blocks, for a
/// moment.
///
/// Such a node does not serve. To let it join again, as another node of its name, stop it and
/// [`set_aside`] the directory.
///
/// # Errors
/// `Storage` if the directory cannot be looked into; one that is missing is of no node that was removed.
///
/// # Examples
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let data_dir = dir.path().join("n");
/// assert!(!kvraft::is_removed(&data_dir)?, "there is nothing yet");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_removed(data_dir: impl AsRef<Path>) -> Result<bool> {
    storage::is_removed(data_dir.as_ref())
}

fn verified(damage: Damage) -> Verified {
    Verified { damage: damage.named, more_damage: damage.more, ..Verified::default() }
}

fn info(header: &BackupHeader) -> BackupInfo {
    let sizes = (header.entries, header.bytes);
    BackupInfo::new(header.cluster_id, header.revision, sizes, header.wall_ms)
}
