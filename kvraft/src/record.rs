//! The bytes of raft's own records (log ids, votes, entries, memberships), on disk and wire alike.
//!
//! These are our versions: openraft may change its types in any release, these bytes do not.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use openraft::impls::leader_id_std::LeaderId;

use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::command::Payload;
use crate::raft::{Entry, LogId, Member, Membership, StoredMembership, Vote};

pub(crate) fn put_log_id<W: Writer>(out: &mut W, id: &LogId) {
    out.put_u64(**id.committed_leader_id());
    out.put_u64(id.index());
}

pub(crate) fn read_log_id(reader: &mut Reader) -> Decoded<LogId> {
    let term = reader.u64()?;
    Ok(LogId::new_term_index(term, reader.u64()?))
}

pub(crate) fn put_vote<W: Writer>(out: &mut W, vote: &Vote) {
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.voted_for);
    out.put_bool(vote.committed);
}

pub(crate) fn read_vote(reader: &mut Reader) -> Decoded<Vote> {
    let leader_id = LeaderId { term: reader.u64()?, voted_for: reader.u64()? };
    Ok(Vote { leader_id, committed: reader.bool()? })
}

pub(crate) fn put_member<W: Writer>(out: &mut W, member: &Member) {
    out.put_bytes_with_len(member.name.as_bytes());
    out.put_bytes_with_len(member.address.as_bytes());
    out.put_bytes_with_len(member.http.as_bytes());
    out.put_list(member.labels.iter(), |out, (key, value)| {
        out.put_bytes_with_len(key.as_bytes());
        out.put_bytes_with_len(value.as_bytes());
    });
    out.put_bool(member.promote);
}

pub(crate) fn read_member(reader: &mut Reader) -> Decoded<Member> {
    Ok(Member {
        name: reader.string()?,
        address: reader.string()?,
        http: reader.string()?,
        labels: reader.list(|r| Ok((r.string()?, r.string()?)))?.into_iter().collect(),
        promote: reader.bool()?,
    })
}

pub(crate) fn put_membership<W: Writer>(out: &mut W, membership: &Membership) {
    out.put_list(membership.get_joint_config().iter(), |out, voters| {
        out.put_list(voters.iter(), |out, id| out.put_u64(*id));
    });
    let nodes: Vec<_> = membership.nodes().collect();
    out.put_list(nodes.into_iter(), |out, (id, member)| {
        out.put_u64(*id);
        put_member(out, member);
    });
}

pub(crate) fn read_membership(reader: &mut Reader) -> Decoded<Membership> {
    let configs = reader.list(|r| Ok(r.list(Reader::u64)?.into_iter().collect::<BTreeSet<_>>()))?;
    let nodes: BTreeMap<u64, Member> =
        reader.list(|r| Ok((r.u64()?, read_member(r)?)))?.into_iter().collect();
    Membership::new(configs, nodes).map_err(|error| DecodeError::new(error.to_string()))
}

pub(crate) fn put_stored_membership<W: Writer>(out: &mut W, stored: &StoredMembership) {
    out.put_option(stored.log_id().as_ref(), put_log_id);
    put_membership(out, stored.membership());
}

pub(crate) fn read_stored_membership(reader: &mut Reader) -> Decoded<StoredMembership> {
    let log_id = reader.option(read_log_id)?;
    Ok(StoredMembership::new(log_id, read_membership(reader)?))
}

/// Writes the term and the payload of an entry; its index stands in the key or the frame.
pub(crate) fn put_entry_body<W: Writer>(out: &mut W, entry: &Entry) {
    out.put_u64(**entry.log_id().committed_leader_id());
    match &entry.payload {
        EntryPayload::Blank => out.put_u8(1),
        EntryPayload::Normal(payload) => {
            out.put_u8(2);
            out.put_slice(&payload.0);
        }
        EntryPayload::Membership(membership) => {
            out.put_u8(3);
            put_membership(out, membership);
        }
    }
}

/// Reads what [`put_entry_body`] wrote; the payload of a command is a slice of `body`.
pub(crate) fn read_entry_body(index: u64, body: Bytes) -> Decoded<Entry> {
    let mut reader = Reader::new(body);
    let log_id = LogId::new_term_index(reader.u64()?, index);
    let payload = match reader.u8()? {
        1 => {
            reader.finish()?;
            EntryPayload::Blank
        }
        2 => EntryPayload::Normal(Payload(reader.rest())),
        3 => {
            let membership = read_membership(&mut reader)?;
            reader.finish()?;
            EntryPayload::Membership(membership)
        }
        kind => {
            return Err(DecodeError::new(format!("log entry {index} is of unknown kind {kind}")));
        }
    };
    Ok(Entry::new(log_id, payload))
}

/// Returns about how many bytes an entry takes in memory and in the log.
pub(crate) fn entry_len(entry: &Entry) -> usize {
    const FIXED: usize = 64;
    match &entry.payload {
        EntryPayload::Blank => FIXED,
        EntryPayload::Normal(payload) => FIXED + payload.0.len(),
        EntryPayload::Membership(membership) => FIXED + membership.nodes().count() * 256,
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn membership() -> Membership {
        let member = Member {
            name: "a".into(),
            address: "h:1".into(),
            http: String::new(),
            labels: [("z".to_owned(), "1".to_owned())].into(),
            promote: true,
        };
        Membership::new(vec![[7].into()], BTreeMap::from([(7, member)])).unwrap()
    }

    #[test]
    fn the_bytes_of_votes_and_log_ids_are_golden() {
        let mut out = BytesMut::new();
        put_vote(&mut out, &Vote::new_committed(3, 9));
        put_log_id(&mut out, &LogId::new_term_index(3, 5));
        assert_eq!(hex(&out), "000000000000000300000000000000090100000000000000030000000000000005");
        let mut reader = Reader::new(out.freeze());
        assert_eq!(read_vote(&mut reader).unwrap(), Vote::new_committed(3, 9));
        assert_eq!(read_log_id(&mut reader).unwrap(), LogId::new_term_index(3, 5));
    }

    #[test]
    fn the_bytes_of_every_entry_kind_are_golden() {
        let id = LogId::new_term_index(2, 4);
        let golden = [
            (EntryPayload::Blank, "000000000000000201"),
            (EntryPayload::Normal(Payload(Bytes::from_static(b"xy"))), "0000000000000002027879"),
            (
                EntryPayload::Membership(membership()),
                "000000000000000203000000010000000100000000000000070000000100000000000000070000000161\
                 00000003683a310000000000000001000000017a000000013101",
            ),
        ];
        for (payload, bytes) in golden {
            let entry = Entry::new(id, payload);
            let mut out = BytesMut::new();
            put_entry_body(&mut out, &entry);
            assert_eq!(hex(&out), bytes);
            assert_eq!(read_entry_body(4, out.freeze()).unwrap(), entry);
        }
    }

    #[test]
    fn a_stored_membership_is_read_back() {
        let stored = StoredMembership::new(Some(LogId::new_term_index(2, 4)), membership());
        let mut out = BytesMut::new();
        put_stored_membership(&mut out, &stored);
        assert_eq!(read_stored_membership(&mut Reader::new(out.freeze())).unwrap(), stored);
    }
}
