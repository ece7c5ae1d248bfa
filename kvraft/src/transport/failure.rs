//! `Failure` is why a request failed, as the node that was asked tells it.

use bytes::{BufMut, BytesMut};

use super::frame::put_text;
use crate::codec::{DecodeError, Decoded, Reader, Writer};
use crate::error::{Error, ErrorKind};
use crate::raft::Member;
use crate::record;

/// Why a request failed, in the words of the node that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: FailureReason,
    pub(crate) message: String,
    /// As [`Error::revision`].
    pub(crate) revision: Option<u64>,
}

/// What the asking node can conclude from a [`Failure`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FailureReason {
    /// Not the leader: nothing was appended. Carries who is, as far as known.
    NotLeader { leader: Option<(u64, Member)> },
    /// As the kind says: `Indeterminate` may be applied, `Unavailable` and `Overloaded` are not.
    Kind(ErrorKind),
}

impl Failure {
    pub(crate) fn not_leader(leader: Option<(u64, Member)>) -> Self {
        let message = match &leader {
            Some((_, member)) => format!("this node does not lead, {} does", member.name),
            None => "this node does not lead and knows no leader".to_owned(),
        };
        Self { reason: FailureReason::NotLeader { leader }, message, revision: None }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            reason: FailureReason::Kind(error.kind()),
            message: error.to_string(),
            revision: error.revision(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match failure.reason {
            FailureReason::NotLeader { .. } => ErrorKind::Unavailable,
            FailureReason::Kind(kind) => kind,
        };
        let error = Self::new(kind, failure.message);
        match failure.revision {
            Some(revision) => error.at_revision(revision),
            None => error,
        }
    }
}

impl Failure {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        match &self.reason {
            FailureReason::NotLeader { leader } => {
                out.put_u8(0);
                out.put_option(leader.as_ref(), |out, (id, member)| {
                    out.put_u64(*id);
                    record::put_member(out, member);
                });
            }
            FailureReason::Kind(kind) => out.put_u8(kind_code(*kind)),
        }
        put_text(out, &self.message);
        out.put_option(self.revision, BufMut::put_u64);
    }

    pub(super) fn decode(reader: &mut Reader) -> Decoded<Self> {
        let reason = match reader.u8()? {
            0 => FailureReason::NotLeader {
                leader: reader.option(|r| Ok((r.u64()?, record::read_member(r)?)))?,
            },
            code => FailureReason::Kind(kind_of(code)?),
        };
        Ok(Self { reason, message: reader.string()?, revision: reader.option(Reader::u64)? })
    }
}

/// Kinds travel as their place in [`ErrorKind::ALL`], counted from 1, as in C.
fn kind_code(kind: ErrorKind) -> u8 {
    let place = ErrorKind::ALL.iter().position(|known| *known == kind);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(u8::MAX)
}

fn kind_of(code: u8) -> Decoded<ErrorKind> {
    let place = usize::from(code).checked_sub(1);
    place
        .and_then(|place| ErrorKind::ALL.get(place).copied())
        .ok_or_else(|| DecodeError::new(format!("failure {code} is unknown")))
}
