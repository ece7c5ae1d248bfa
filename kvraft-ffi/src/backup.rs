//! `kvraft_backup` is the whole map of one moment as bytes, while writes go on.

use std::mem::MaybeUninit;

use kvraft::BackupInfo;
use kvraft::blocking::Backup;

use crate::boundary;
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::held::Held;
use crate::map::{kvraft_map, usable};
use crate::read_options::kvraft_read_options;
use crate::status::kvraft_status;

/// A backup that is being read. Not for several threads at once.
#[derive(Debug)]
pub struct kvraft_backup {
    backup: Held<Backup>,
    info: BackupInfo,
}

/// Begins a backup: all entries, leases, locks, request ids and settings of one moment, without
/// stopping writes. kvraft_restore makes a new cluster of it.
///
/// While it is read, the state file grows by what is written: read it without pauses, within an hour.
///
/// options: may be NULL for the defaults, which hold every write that was acknowledged before; they
/// stay the caller's.
/// backup: where the backup goes; free it with kvraft_backup_free, before or after the map.
///
/// KVRAFT_OVERLOADED: two backups of the node are under way.
/// Other errors: those of kvraft_get.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_backup_new(
    map: Option<&kvraft_map>,
    options: Option<&kvraft_read_options>,
    backup: Option<&mut MaybeUninit<Option<Box<kvraft_backup>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(backup, "backup", error, || {
        let backup = usable(map)?.backup_with(kvraft_read_options::of(options))?;
        let info = backup.info().clone();
        Ok(kvraft_backup { backup: Held::new(backup), info })
    })
}

/// Returns the last revision in the backup; 0 if backup is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_backup_revision(backup: Option<&kvraft_backup>) -> u64 {
    boundary::ask(backup, |backup| backup.info.revision)
}

/// Returns how many keys the backup has; 0 if backup is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_backup_entries(backup: Option<&kvraft_backup>) -> u64 {
    boundary::ask(backup, |backup| backup.info.entries)
}

/// Reads the next bytes of the backup: about 1 MiB, or one value. They are to be written one behind
/// the other into a file, which is whole only with the last of them.
///
/// chunk: where the bytes go; free them with kvraft_bytes_free.
///
/// KVRAFT_NOT_FOUND: there are no more; the backup is whole.
/// KVRAFT_COMPACTED: an hour is over.
/// KVRAFT_CORRUPT, KVRAFT_STORAGE: the disk gives damaged bytes or none.
/// KVRAFT_UNAVAILABLE: the member that sent it to this client is lost.
/// KVRAFT_INVALID_ARGUMENT, KVRAFT_CLOSED. After an error the backup is at its end.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_backup_next(
    backup: Option<&mut kvraft_backup>,
    chunk: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(chunk, "chunk", error, || {
        let next = boundary::required(backup, "backup")?.backup.get_mut()?.next();
        Ok(next.transpose()?.map(Into::into))
    })
}

/// Ends a backup and frees it. Does nothing if backup is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_backup_free(backup: Option<Box<kvraft_backup>>) {
    boundary::release(|| backup);
}
