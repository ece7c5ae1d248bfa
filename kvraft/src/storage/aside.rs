//! A data directory that is damaged, or whose node was removed, is set aside, so that the node begins anew as
//! another one.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::damage::Damage;
use super::dir::{hold, sync_dir, unusable};
use super::inspect::{Inspection, inspect_held};
use crate::error::{Error, ErrorKind, Result};

/// The file that says that the node of a directory was removed from its cluster. Its bytes mean nothing.
const REMOVED: &str = "REMOVED";

/// What became of a data directory.
#[derive(Debug)]
pub(crate) struct Aside {
    /// Where it is now.
    pub(crate) path: PathBuf,
    /// What is wrong with it; nothing, if its node was removed.
    pub(crate) damage: Vec<String>,
}

/// Notes durably that the node of this directory was removed from its cluster.
pub(crate) fn mark_removed(dir: &Path) -> Result<()> {
    let mark = dir.join(REMOVED);
    let marked = File::create(&mark).and_then(|file| file.sync_all()).and_then(|()| sync_dir(dir));
    marked.map_err(|error| unusable(&mark, "write", error))
}

/// Returns whether the node of this directory was removed from its cluster, and learned that.
pub(crate) fn is_removed(dir: &Path) -> Result<bool> {
    let mark = dir.join(REMOVED);
    mark.try_exists().map_err(|error| unusable(&mark, "find", error))
}

/// Moves the data directory of a stopped node out of the way that is damaged, or whose node was removed;
/// nothing in it is changed.
///
/// # Errors
/// `Refused` if a node has it open, if it is none, if nothing in it is damaged, or if its node was the
/// only member; `Storage` if it cannot be moved.
pub(crate) fn set_aside(dir: &Path) -> Result<Aside> {
    let (dir, held) = hold(dir)?;
    if is_removed(&dir)? {
        return set(&dir, held, "removed", Vec::new());
    }
    let damage = match inspect_held(&dir) {
        Ok(inspection) => damage_in(inspection, &dir)?,
        Err(error) if error.kind() == ErrorKind::Refused => return Err(error),
        // So damaged that it cannot even be looked through.
        Err(error) => vec![error.to_string()],
    };
    set(&dir, held, "damaged", damage)
}

fn set(dir: &Path, held: File, why: &str, damage: Vec<String>) -> Result<Aside> {
    let path = free_name(dir, why)?;
    fs::rename(dir, &path).map_err(|error| unusable(dir, "move", error))?;
    if let Some(parent) = path.parent() {
        sync_dir(parent).map_err(|error| unusable(parent, "flush", error))?;
    }
    drop(held);
    Ok(Aside { path, damage })
}

fn damage_in(inspection: Inspection, dir: &Path) -> Result<Vec<String>> {
    if inspection.is_only_member() {
        return Err(Error::refused(
            "this node was the only member: nobody has what it has; restore a backup, or recover what is left \
             of it with recover_quorum",
        ));
    }
    let Damage { named, more } = inspection.damage;
    if named.is_empty() {
        return Err(Error::refused(format!(
            "nothing in {} is damaged: start the node; while it runs, its state can be fetched anew",
            dir.display()
        )));
    }
    let rest = (more > 0).then(|| format!("and {more} more"));
    Ok(named.into_iter().chain(rest).collect())
}

/// Returns a name beside the directory that nothing has.
fn free_name(dir: &Path, why: &str) -> Result<PathBuf> {
    let names = (1..1000).map(|number| {
        let mut name = dir.as_os_str().to_owned();
        name.push(format!(".{why}-{number}"));
        PathBuf::from(name)
    });
    let mut free = names.filter(|path| fs::symlink_metadata(path).is_err());
    free.next().ok_or_else(|| {
        Error::refused(format!(
            "there are a thousand {why} directories beside {}: delete those that nobody needs",
            dir.display()
        ))
    })
}
