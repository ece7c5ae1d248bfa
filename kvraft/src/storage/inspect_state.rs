//! `StateFound` is what an inspection finds in the environment of a state.

use std::path::Path;

use bytes::Bytes;

use super::damage::Damage;
use super::row::RowId;
use super::state_env::StateEnv;
use super::state_record::{Head, META_KEY, Meta, OWNER_KEY, decode_owner};
use super::tables::{TableCounts, Tables};
use crate::codec::{DecodeError, Decoded};
use crate::error::{Error, ErrorKind, Result};
use crate::storage::lease::lease_key_hash;

/// Longest part of a key that is told.
const TOLD_KEY_BYTES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct StateFound {
    pub(super) meta: Option<Meta>,
    pub(super) owner: Option<u64>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
    pub(super) tables: TableCounts,
    sums: Sums,
}

/// What all records add up to.
#[derive(Debug, Default)]
struct Sums {
    entries: u64,
    /// The keys of leases, as the entries name them.
    lease_keys: u64,
    tables: Tables,
}

/// Reads every record of a state.
pub(super) fn inspect_state(path: &Path, damage: &mut Damage) -> Result<StateFound> {
    let mut found = StateFound::default();
    let before = damage.count();
    if let Err(error) = read_all(path, &mut found, damage) {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        damage.add("state", error);
    }
    // Sums over what is damaged are wrong too, which says nothing new.
    if damage.count() == before {
        found.compare(damage);
    }
    Ok(found)
}

fn read_all(path: &Path, found: &mut StateFound, damage: &mut Damage) -> Result<()> {
    if !path.join("data.mdb").exists() {
        return Err(Error::corrupt("its file is missing"));
    }
    let env = StateEnv::open_to_read(path)?;
    env.visit_meta(&mut |key, value| found.take_meta(key, value, damage))?;
    env.visit_entries(&mut |key, value| found.take_entry(key, value, damage))?;
    env.visit_rows(&mut |key, value| {
        let read = RowId::of_key(Bytes::copy_from_slice(key))
            .and_then(|id| found.sums.tables.take(id, Bytes::copy_from_slice(value)));
        if let Err(why) = read {
            damage.add(format_args!("state row {}", told(key)), why);
        }
    })?;
    env.visit_lease_keys(&mut |lease, key| {
        if let Err(why) = found.take_lease_key(lease, key) {
            damage.add(format_args!("state lease key {}", told(key)), why);
        }
    })?;
    found.tables = found.sums.tables.counts();
    Ok(())
}

impl StateFound {
    fn take_meta(&mut self, key: &[u8], value: &[u8], damage: &mut Damage) {
        let value = Bytes::copy_from_slice(value);
        let read = match key {
            META_KEY => Meta::decode(value).map(|meta| self.meta = Some(meta)),
            OWNER_KEY => decode_owner(value).map(|owner| self.owner = Some(owner)),
            _ => Err(DecodeError::new("it is unknown")),
        };
        if let Err(why) = read {
            damage.add(format_args!("state record {}", told(key)), why);
        }
    }

    fn take_entry(&mut self, key: &[u8], value: &[u8], damage: &mut Damage) {
        self.entries += 1;
        match Head::decode(key, value) {
            Ok((head, value)) => {
                self.bytes += (key.len() + value.len()) as u64;
                self.sums.entries = self.sums.entries.wrapping_add(head.hash());
                if head.lease != 0 {
                    let hash = lease_key_hash(head.lease, key);
                    self.sums.lease_keys = self.sums.lease_keys.wrapping_add(hash);
                }
            }
            Err(error) => damage.add(format_args!("state entry {}", told(key)), Brief(&error)),
        }
    }

    fn take_lease_key(&mut self, lease: &[u8], key: &[u8]) -> Decoded<()> {
        let number = <[u8; 8]>::try_from(lease).map(u64::from_be_bytes);
        let number = number.map_err(|_| DecodeError::new("a lease of wrong length"))?;
        self.sums.tables.take_lease_key(number, Bytes::copy_from_slice(key))?;
        // What is in the table is taken off again: nothing is left if both are the same.
        let hash = lease_key_hash(number, key);
        self.sums.lease_keys = self.sums.lease_keys.wrapping_sub(hash);
        Ok(())
    }

    /// Compares what all records add up to with what the meta record says.
    fn compare(&self, damage: &mut Damage) {
        let Some(meta) = &self.meta else {
            return damage.add("state record replica", "is missing");
        };
        if self.owner.is_none() {
            damage.add("state record owner", "is missing");
        }
        let sums = &self.sums;
        let all = [
            ("entries", self.entries, meta.len),
            ("bytes of entries", self.bytes, meta.bytes),
            ("hash of entries", sums.entries, meta.entries_hash),
            ("hash of rows", sums.tables.hash(), meta.tables_hash),
            ("keys of leases in entries and table", sums.lease_keys, 0),
        ];
        for (what, found, said) in all {
            if found != said {
                damage.add(format_args!("state, {what}"), format_args!("{found} is not {said}"));
            }
        }
    }
}

/// What an entry's error says, without the advice to whoever runs a node.
struct Brief<'a>(&'a Error);

impl std::fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message().split(':').next().unwrap_or_default())
    }
}

/// A key as people can read it.
fn told(key: &[u8]) -> String {
    let shown = key.get(..TOLD_KEY_BYTES).unwrap_or(key);
    let cut = if shown.len() < key.len() { "…" } else { "" };
    format!("\"{}{cut}\"", shown.escape_ascii())
}
