//! The bytes of a change of the membership.

use bytes::{BufMut, BytesMut};

use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::options::{AskedChange, MembershipChange};

pub(super) fn put_asked_change(out: &mut BytesMut, asked: &AskedChange) {
    out.put_bool(asked.again);
    out.put_option(asked.node_id, BytesMut::put_u64);
    put_change(out, &asked.change);
}

pub(super) fn read_asked_change(reader: &mut Reader) -> Decoded<AskedChange> {
    Ok(AskedChange {
        again: reader.bool()?,
        node_id: reader.option(Reader::u64)?,
        change: read_change(reader)?,
    })
}

fn put_change(out: &mut BytesMut, change: &MembershipChange) {
    let (tag, name) = match change {
        MembershipChange::Promote { name } => (1, name),
        MembershipChange::Demote { name } => (2, name),
        MembershipChange::Remove { name } => (3, name),
        MembershipChange::Transfer { to } => {
            out.put_u8(4);
            let name = to.as_ref().map(String::as_bytes);
            return out.put_option(name, BytesMut::put_bytes_with_len);
        }
        MembershipChange::Shrink { voters } => {
            out.put_u8(5);
            return out.put_u32(*voters);
        }
    };
    out.put_u8(tag);
    out.put_bytes_with_len(name.as_bytes());
}

fn read_change(reader: &mut Reader) -> Decoded<MembershipChange> {
    Ok(match reader.u8()? {
        1 => MembershipChange::Promote { name: reader.string()? },
        2 => MembershipChange::Demote { name: reader.string()? },
        3 => MembershipChange::Remove { name: reader.string()? },
        4 => MembershipChange::Transfer { to: reader.option(Reader::string)? },
        5 => MembershipChange::Shrink { voters: reader.u32()? },
        tag => return Err(DecodeError::new(format!("change {tag} is unknown"))),
    })
}
