//! The bytes of a `Command`: one tag, then its fields.

use std::ops::Bound;

use bytes::{BufMut, Bytes, BytesMut};

use super::op::{read_key, read_lease, read_ttl};
use super::{
    Attach, Command, LeaseNumber, MAX_LEASES_AT_ONCE, MAX_NAME_BYTES, MAX_PRINCIPAL_BYTES, Op,
    RequestId, SessionId, Settings, Test, Txn,
};
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::versions::FORMAT_LEVEL;

impl Command {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.data_len());
        self.encode_into(&mut out);
        out.freeze()
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Write { op, test } => op.data_len() + test.as_ref().map_or(0, Test::data_len),
            Self::Txn(txn) => txn.data_len(),
            Self::ExpireSessions { sessions } => sessions.len() * 24,
            Self::KeepAlive { leases } => leases.len() * 8,
            Self::ExpireLeases { leases } => leases.len() * 16,
            Self::Once { request, command } => {
                request.principal.len() + request.id.len() + command.data_len()
            }
            // Numbers, names and keys: the room that every command has is enough, or nearly so.
            Self::Found { .. }
            | Self::DeleteRange { .. }
            | Self::OpenSession { .. }
            | Self::EndSession { .. }
            | Self::ChangeSettings { .. }
            | Self::RaiseFormat { .. }
            | Self::GrantLease { .. }
            | Self::RevokeLease { .. }
            | Self::Lock { .. }
            | Self::Unlock { .. }
            | Self::Verify => 0,
        }
    }

    /// Tags are append-only: a number is never used again for another meaning.
    fn encode_into(&self, out: &mut BytesMut) {
        match self {
            Self::Found { cluster_id, revision_base, settings } => {
                out.put_u8(1);
                out.put_u128(*cluster_id);
                out.put_u64(*revision_base);
                settings.encode(out);
            }
            Self::Write { op, test } => put_write(out, op, test.as_ref()),
            Self::OpenSession { session } => tagged(out, 4, |out| out.put_u128(session.0)),
            Self::EndSession { session } => tagged(out, 5, |out| out.put_u128(session.0)),
            Self::ExpireSessions { sessions } => tagged(out, 6, |out| {
                out.put_list(sessions.iter(), |out, (session, deadline)| {
                    out.put_u128(session.0);
                    out.put_u64(*deadline);
                });
            }),
            Self::ChangeSettings { settings } => tagged(out, 7, |out| settings.encode(out)),
            Self::Txn(txn) => tagged(out, 9, |out| txn.encode(out)),
            Self::DeleteRange { range: (start, end) } => {
                out.put_u8(10);
                put_bound(out, start);
                put_bound(out, end);
            }
            Self::GrantLease { ttl_ms } => tagged(out, 11, |out| out.put_u64(*ttl_ms)),
            Self::KeepAlive { leases } => tagged(out, 12, |out| {
                out.put_list(leases.iter(), |out, lease| out.put_u64(*lease));
            }),
            Self::RevokeLease { lease } => tagged(out, 13, |out| out.put_u64(*lease)),
            Self::ExpireLeases { leases } => tagged(out, 14, |out| {
                out.put_list(leases.iter(), |out, (lease, deadline)| {
                    out.put_u64(*lease);
                    out.put_u64(*deadline);
                });
            }),
            Self::Lock { name, lease, wait } => {
                put_named(out, 15, name, *lease);
                out.put_bool(*wait);
            }
            Self::Unlock { name, lease } => put_named(out, 16, name, *lease),
            Self::Once { request, command } => {
                out.put_u8(17);
                out.put_bytes_with_len(&request.principal);
                out.put_bytes_with_len(&request.id);
                command.encode_into(out);
            }
            Self::Verify => out.put_u8(18),
            Self::RaiseFormat { level } => tagged(out, 19, |out| out.put_u16(*level)),
        }
    }

    pub(crate) fn decode(bytes: Bytes) -> Decoded<Self> {
        let mut reader = Reader::new(bytes);
        let command = match reader.u8()? {
            17 => {
                let request = RequestId {
                    principal: read_name(&mut reader, 0, MAX_PRINCIPAL_BYTES)?,
                    id: read_name(&mut reader, 1, MAX_NAME_BYTES)?,
                };
                let tag = reader.u8()?;
                let command = Self::decode_as(tag, &mut reader)?;
                if !command.is_for_outsiders() {
                    return Err(DecodeError::new(format!("command {tag} has no request id")));
                }
                Self::Once { request, command: Box::new(command) }
            }
            tag => Self::decode_as(tag, &mut reader)?,
        };
        reader.finish()?;
        Ok(command)
    }

    /// Reads a command that holds no other one.
    fn decode_as(tag: u8, reader: &mut Reader) -> Decoded<Self> {
        Ok(match tag {
            1 => Self::Found {
                cluster_id: reader.u128()?,
                revision_base: reader.u64()?,
                settings: Settings::decode(reader)?,
            },
            2 => Self::put(read_key(reader)?, reader.bytes()?),
            3 => Self::delete(read_key(reader)?),
            4 => Self::OpenSession { session: SessionId(reader.u128()?) },
            5 => Self::EndSession { session: SessionId(reader.u128()?) },
            6 => Self::ExpireSessions {
                sessions: reader.list(|r| Ok((SessionId(r.u128()?), r.u64()?)))?,
            },
            7 => Self::ChangeSettings { settings: Settings::decode(reader)? },
            8 => Self::Write { op: Op::decode(reader)?, test: reader.option(Test::decode)? },
            9 => Self::Txn(Txn::decode(reader)?),
            10 => Self::DeleteRange { range: (read_bound(reader)?, read_bound(reader)?) },
            11 => Self::GrantLease { ttl_ms: read_ttl(reader)? },
            12 => Self::KeepAlive { leases: at_once(reader.list(Reader::u64)?)? },
            13 => Self::RevokeLease { lease: read_lease(reader)? },
            14 => {
                Self::ExpireLeases { leases: at_once(reader.list(|r| Ok((r.u64()?, r.u64()?)))?)? }
            }
            15 => Self::Lock {
                name: read_name(reader, 1, MAX_NAME_BYTES)?,
                lease: read_lease(reader)?,
                wait: reader.bool()?,
            },
            16 => Self::Unlock {
                name: read_name(reader, 1, MAX_NAME_BYTES)?,
                lease: read_lease(reader)?,
            },
            18 => Self::Verify,
            19 => Self::RaiseFormat { level: reader.u16()? },
            tag => {
                return Err(DecodeError::new(format!(
                    "command {tag} is unknown to format {FORMAT_LEVEL}"
                )));
            }
        })
    }
}

fn tagged(out: &mut BytesMut, tag: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    write(out);
}

fn put_named(out: &mut BytesMut, tag: u8, name: &Bytes, lease: LeaseNumber) {
    out.put_u8(tag);
    out.put_bytes_with_len(name);
    out.put_u64(lease);
}

/// Plain writes, which most commands are, have a short form of their own.
fn put_write(out: &mut BytesMut, op: &Op, test: Option<&Test>) {
    match (op, test) {
        (Op::Put { key, value, attach: Attach::None, want_previous: false }, None) => {
            out.put_u8(2);
            out.put_bytes_with_len(key);
            out.put_bytes_with_len(value);
        }
        (Op::Delete { key, want_previous: false }, None) => {
            out.put_u8(3);
            out.put_bytes_with_len(key);
        }
        (op, test) => {
            out.put_u8(8);
            op.encode(out);
            out.put_option(test, |out, test| test.encode(out));
        }
    }
}

fn read_name(reader: &mut Reader, least: usize, most: usize) -> Decoded<Bytes> {
    let name = reader.bytes()?;
    if !(least..=most).contains(&name.len()) {
        return Err(DecodeError::new(format!("a name of {} bytes", name.len())));
    }
    Ok(name)
}

fn at_once<T>(leases: Vec<T>) -> Decoded<Vec<T>> {
    match leases.len() {
        0..=MAX_LEASES_AT_ONCE => Ok(leases),
        count => Err(DecodeError::new(format!("{count} leases at once"))),
    }
}

pub(crate) fn put_bound<W: Writer>(out: &mut W, bound: &Bound<Bytes>) {
    match bound {
        Bound::Unbounded => out.put_u8(0),
        Bound::Included(key) => {
            out.put_u8(1);
            out.put_bytes_with_len(key);
        }
        Bound::Excluded(key) => {
            out.put_u8(2);
            out.put_bytes_with_len(key);
        }
    }
}

/// Reads a bound; its key need not be one that could be in the map.
pub(crate) fn read_bound(reader: &mut Reader) -> Decoded<Bound<Bytes>> {
    Ok(match reader.u8()? {
        0 => Bound::Unbounded,
        1 => Bound::Included(reader.bytes()?),
        2 => Bound::Excluded(reader.bytes()?),
        tag => return Err(DecodeError::new(format!("bound {tag} is unknown"))),
    })
}
