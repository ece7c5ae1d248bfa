//! What can be done with the bytes of a node that does not run.

use std::mem::MaybeUninit;

use kvraft::{RestoreOptions, Restored, Verified};
use serde_json::{Map, Value, json};

use crate::boundary::{self, LentText};
use crate::bytes::kvraft_bytes;
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// Makes a new cluster out of a backup: the data directory of its first node. Open it, and have other,
/// empty nodes join it. Revisions go on at least 2^40 above the last one in the backup.
///
/// It may be killed at any moment, and be repeated. Waits for the disk.
///
/// from, data_dir: paths, in any bytes. The directory is missing or empty.
/// name: the name of the node, as UTF-8.
/// above: 0; or, if the same backup was restored before, a revision of that cluster, which those of
/// the new one then are above as well.
/// json: where goes what came of it, as UTF-8 with a NUL byte that the length does not count: cluster,
/// nodeID, nextRevision, revision, entries, bytes. May be NULL; free it with kvraft_bytes_free.
///
/// KVRAFT_CORRUPT: the backup is damaged; the message says where.
/// KVRAFT_REFUSED: the directory is not empty, or the file is no backup.
/// KVRAFT_INVALID_ARGUMENT: the name is wrong, or an argument is NULL.
/// KVRAFT_FULL, KVRAFT_STORAGE: the disk refuses.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_restore(
    from: LentText,
    data_dir: LentText,
    name: LentText,
    above: u64,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::report(json, error, || {
        let (from, data_dir) = (from.path("from")?, data_dir.path("data_dir")?);
        let options = RestoreOptions::new(from, data_dir, name.text("name")?).above(above);
        Ok(restored(&kvraft::restore(&options)?).to_string())
    })
}

/// Makes a new cluster out of one stopped node of a cluster that has lost its majority for good.
/// **Writes may be lost**: all that never reached this node. First make sure that the other nodes
/// never come back. Waits for the disk.
///
/// data_dir, into: paths, in any bytes. The first one keeps what it has, the second one is missing or
/// empty.
/// json: as for kvraft_restore; also name, committed and last. May be NULL.
///
/// KVRAFT_REFUSED: a node has the directory open, it is none, or into is not empty.
/// KVRAFT_CORRUPT: something in it is damaged.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
/// KVRAFT_FULL, KVRAFT_STORAGE: the disk refuses.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_recover_quorum(
    data_dir: LentText,
    into: LentText,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::report(json, error, || {
        let recovered = kvraft::recover_quorum(data_dir.path("data_dir")?, into.path("into")?)?;
        let mut object = restored(&recovered.restored);
        let more = json!({
            "name": recovered.name,
            "committed": recovered.committed,
            "last": recovered.last,
        });
        if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
            object.extend(more);
        }
        Ok(object.to_string())
    })
}

/// Reads a backup from its first byte to its last and says what is wrong with it. Waits for the disk.
///
/// file: the path, in any bytes.
/// json: where goes what was found, as UTF-8 with a NUL byte that the length does not count: sound
/// (whether nothing is damaged), counts, facts, damage (texts) and moreDamage. Free it with
/// kvraft_bytes_free.
///
/// KVRAFT_REFUSED: it is no backup, or one of a newer version.
/// KVRAFT_STORAGE: it cannot be read.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. Damage is no error but what this is for.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_verify_backup(
    file: LentText,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::tell(json, "json", error, || {
        Ok(verified(&kvraft::verify_backup(file.path("file")?)?).to_string())
    })
}

/// Reads everything that a stopped node has stored, and says what is wrong with it. Changes nothing.
/// Waits for the disk.
///
/// data_dir: the path, in any bytes.
/// json: as for kvraft_verify_backup.
///
/// KVRAFT_REFUSED: a node has the directory open, or it is none.
/// KVRAFT_STORAGE: it cannot be read.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. Damage is no error but what this is for.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_verify_data_dir(
    data_dir: LentText,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::tell(json, "json", error, || {
        Ok(verified(&kvraft::verify_data_dir(data_dir.path("data_dir")?)?).to_string())
    })
}

/// Moves the damaged data directory of a stopped node out of the way, so that the node begins anew
/// and gets everything from the other members. Waits for the disk.
///
/// data_dir: the path, in any bytes.
/// json: where goes what was done, as UTF-8 with a NUL byte that the length does not count: path (where
/// the directory is now) and damage (texts). May be NULL; free it with kvraft_bytes_free.
///
/// KVRAFT_REFUSED: a node has the directory open, it is none, nothing in it is damaged, or its node
/// was the only member.
/// KVRAFT_STORAGE: it cannot be moved.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_set_aside(
    data_dir: LentText,
    json: Option<&mut MaybeUninit<kvraft_bytes>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::report(json, error, || {
        let aside = kvraft::set_aside(data_dir.path("data_dir")?)?;
        Ok(json!({ "path": aside.path.to_string_lossy(), "damage": aside.damage }).to_string())
    })
}

fn restored(restored: &Restored) -> Value {
    json!({
        "cluster": restored.cluster,
        "nodeID": restored.node_id,
        "nextRevision": restored.next_revision,
        "revision": restored.backup.revision,
        "entries": restored.backup.entries,
        "bytes": restored.backup.bytes,
    })
}

fn verified(verified: &Verified) -> Value {
    let counts = verified.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count)));
    let facts = verified.facts.iter().map(|(name, text)| ((*name).to_owned(), json!(text)));
    json!({
        "sound": verified.is_sound(),
        "counts": counts.collect::<Map<_, _>>(),
        "facts": facts.collect::<Map<_, _>>(),
        "damage": verified.damage,
        "moreDamage": verified.more_damage,
    })
}
