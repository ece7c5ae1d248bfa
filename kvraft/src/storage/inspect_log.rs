//! `LogFound` is what an inspection finds in the log environment.

use std::path::Path;

use bytes::Bytes;
use heed::CommitOrAbort;
use heed::types::Bytes as Raw;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;

use super::damage::Damage;
use super::env::Env;
use super::log_disk::{self, Record, key_number};
use super::registry::{read_identity, read_peer};
use crate::codec::{DecodeError, Decoded, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Claim, Identity};
use crate::raft::{Entry, LogId};
use crate::record;

/// Every key is a tag and a number.
const KEY_BYTES: usize = 9;

#[derive(Debug, Default)]
pub(super) struct LogFound {
    pub(super) identity: Option<Identity>,
    pub(super) identity_is_damaged: bool,
    pub(super) cluster_id: Option<u128>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    /// The indices of the first and the last entry behind the purged ones.
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    pub(super) entries: u64,
    pub(super) records: u64,
    last_term: u64,
}

/// Reads every record and every entry of a log.
pub(super) fn inspect_log(path: &Path, damage: &mut Damage) -> Result<LogFound> {
    let mut found = LogFound::default();
    if let Err(error) = read_all(path, &mut found, damage) {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        damage.add("log", error);
    }
    Ok(found)
}

fn read_all(path: &Path, found: &mut LogFound, damage: &mut Damage) -> Result<()> {
    if !path.join("data.mdb").exists() {
        return Err(Error::corrupt("its file is missing"));
    }
    let env = Env::open_to_read(path)?;
    let db = env.open_databases_and_commit(env.read_txn()?, |opener, rtxn| {
        Ok::<_, heed::Error>(match opener.open_database::<Raw, Raw>(rtxn, None)? {
            Some(db) => CommitOrAbort::Commit(db),
            None => CommitOrAbort::Abort(()),
        })
    })?;
    let db = db.commit().ok_or_else(|| Error::corrupt("it has no database"))?;
    let rtxn = env.read_txn()?;
    for item in db.iter(&rtxn)? {
        let (key, value) = item?;
        found.take(key, value, damage);
    }
    Ok(())
}

impl LogFound {
    fn take(&mut self, key: &[u8], value: &[u8], damage: &mut Damage) {
        let number = key_number(key).unwrap_or_default();
        let tag = key.first().copied().filter(|_| key.len() == KEY_BYTES);
        let entries = log_disk::entry_key(0).first().copied();
        if tag.is_some() && tag == entries {
            return self.take_entry(number, key, value, damage);
        }
        self.records += 1;
        let Some(record) = Record::of_key(key) else {
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            return damage.add(format_args!("log record with key {key}"), "it is unknown");
        };
        let read = log_disk::unseal(key, value).and_then(|body| self.take_record(record, body));
        if let Err(why) = read {
            self.identity_is_damaged |= record == Record::Identity;
            damage.add(format_args!("log record {record:?}"), why);
        }
    }

    fn take_record(&mut self, record: Record, body: Bytes) -> Decoded<()> {
        let mut reader = Reader::new(body);
        match record {
            Record::Counter => drop(reader.u64()?),
            Record::Vote => drop(record::read_vote(&mut reader)?),
            Record::Committed => self.committed = reader.option(record::read_log_id)?,
            Record::Purged => self.purged = Some(record::read_log_id(&mut reader)?),
            Record::Identity => self.identity = Some(read_identity(&mut reader)?),
            Record::Cluster => self.cluster_id = Some(reader.u128()?),
            Record::Claim => drop(Claim::decode(&mut reader)?),
            Record::Refill => drop(reader.string()?),
            Record::Peer(_) => drop(read_peer(&mut reader)?),
        }
        reader.finish()
    }

    /// Returns the term and the index at which the log ends, be it purged to its end.
    pub(super) fn end(&self) -> Option<(u64, u64)> {
        let purged = self.purged.map(|id| (**id.committed_leader_id(), id.index));
        self.last.map(|index| (self.last_term, index)).or(purged)
    }

    /// Records stand before entries, so that it is known what was purged.
    fn take_entry(&mut self, index: u64, key: &[u8], value: &[u8], damage: &mut Damage) {
        let place = format!("log entry {index}");
        if self.purged.is_some_and(|purged| index <= purged.index) {
            // It was purged and is not gone yet: nothing reads it.
            return;
        }
        let expected =
            self.last.or_else(|| self.purged.map(|id| id.index)).map(|before| before + 1);
        if let Some(expected) = expected.filter(|expected| *expected != index) {
            damage.add(&place, format_args!("entries {expected} to {} are missing", index - 1));
        }
        self.entries += 1;
        self.first.get_or_insert(index);
        self.last = Some(index);
        let entry = log_disk::unseal(key, value)
            .and_then(|body| record::read_entry_body(index, body))
            .and_then(decoded);
        match entry {
            Ok(entry) => {
                let term = **entry.log_id().committed_leader_id();
                if term < self.last_term {
                    damage.add(&place, format_args!("term {term} after term {}", self.last_term));
                }
                self.last_term = self.last_term.max(term);
            }
            Err(why) => damage.add(&place, why),
        }
    }
}

/// Decodes the command of an entry too.
fn decoded(entry: Entry) -> Decoded<Entry> {
    if let EntryPayload::Normal(payload) = &entry.payload {
        payload
            .proposal()
            .map_err(|why| DecodeError::new(format!("its command cannot be read: {why}")))?;
    }
    Ok(entry)
}
