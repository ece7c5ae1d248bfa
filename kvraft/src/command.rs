//! `Command` is what is replicated, `Outcome` what applying it says; both with their bytes.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{DecodeError, Decoded, Reader, Writer};

/// Longest key in bytes: LMDB's default limit, and no prefix is added.
pub(crate) const MAX_KEY_BYTES: usize = 511;
/// Largest `max_value_bytes` anyone can set; decoders accept up to it, whatever is set now.
pub(crate) const CEILING_VALUE_BYTES: u32 = 64 << 20;
/// Largest `max_command_bytes` anyone can set: a maximal value and room for its neighbours.
pub(crate) const CEILING_COMMAND_BYTES: u32 = 80 << 20;
/// The newest format this binary can write. Nobody proposes above the level in the state.
pub(crate) const FORMAT_LEVEL: u16 = 1;
/// A session without a command for this long in cluster time ends (15 min, far beyond any
/// deadline that a retry can have).
pub(crate) const SESSION_TTL_MS: u64 = 15 * 60 * 1000;
/// Unfinished commands that one session may have; the proposer waits beyond it.
pub(crate) const MAX_UNFINISHED: usize = 4096;
/// Sessions that the cluster holds at most: ten thousand processes and their restarts.
pub(crate) const MAX_SESSIONS: u64 = 65_536;
/// Largest outcome that a session keeps whole; a larger one replays as [`Outcome::AppliedAt`].
pub(crate) const MAX_STORED_OUTCOME_BYTES: usize = 64 << 10;

/// Names one start of one process: random, registered by [`Command::OpenSession`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u128);

/// Which command of which session this is, so that asking again never applies it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) session: SessionId,
    pub(crate) sequence: u64,
    /// Every sequence below is finished: its outcome may be forgotten, and it never executes.
    pub(crate) done_below: u64,
}

/// What the leader adds when it proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Led time so far in milliseconds: the only clock that decides anything.
    pub(crate) cluster_ms: u64,
    /// Wall time in milliseconds since 1970, for people only.
    pub(crate) wall_ms: u64,
}

/// The settings that all nodes share; flags only seed them when the cluster is founded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Keys and values beyond this many bytes are refused as `Full`.
    pub(crate) storage_limit_bytes: u64,
    pub(crate) max_value_bytes: u32,
    pub(crate) max_command_bytes: u32,
    pub(crate) heartbeat_interval_ms: u32,
    /// Elections wait between this and twice this.
    pub(crate) election_timeout_ms: u32,
    pub(crate) format_level: u16,
}

/// One change of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// The first command of a cluster: who it is and by which settings it lives.
    Found {
        cluster_id: u128,
        revision_base: u64,
        settings: Settings,
    },
    Put {
        key: Bytes,
        value: Bytes,
    },
    Delete {
        key: Bytes,
    },
    OpenSession {
        session: SessionId,
    },
    EndSession {
        session: SessionId,
    },
    /// Ends sessions whose deadline has passed; apply checks each deadline again.
    ExpireSessions {
        sessions: Vec<(SessionId, u64)>,
    },
    /// Replaces the shared settings.
    ChangeSettings {
        settings: Settings,
    },
}

/// One log entry of ours: stamp, origin and command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) stamp: Stamp,
    pub(crate) origin: Option<Origin>,
    pub(crate) command: Command,
}

/// What applying a command said; the same on every node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An internal command or entry that has nothing to tell.
    Done,
    Put {
        revision: u64,
        replaced: bool,
    },
    Deleted {
        revision: u64,
        existed: bool,
    },
    /// Applied before; its outcome was too large to keep.
    AppliedAt {
        revision: u64,
    },
    /// Refused by every node alike; nothing was changed.
    Rejected(Rejection),
}

/// Why every node refuses a command alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The session is unknown: never opened, ended or expired.
    SessionExpired,
    /// The sequence is below `done_below`: finished before, its outcome forgotten.
    Stale,
    /// The map would grow beyond its limit.
    Full {
        used: u64,
        limit: u64,
    },
    TooManySessions,
    /// The value is larger than the cluster's `max_value_bytes`.
    ValueTooLarge {
        limit: u32,
    },
    /// The cluster has been founded before, or has not been founded yet.
    OutOfPlace,
}

/// The bytes of a [`Proposal`] as they stand in the log: encoded once, decoded in apply.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Bytes);

impl Command {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64 + self.data_len());
        self.encode_into(&mut out);
        out.freeze()
    }

    fn data_len(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
            Self::ExpireSessions { sessions } => sessions.len() * 24,
            Self::Found { .. }
            | Self::OpenSession { .. }
            | Self::EndSession { .. }
            | Self::ChangeSettings { .. } => 0,
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
            Self::Put { key, value } => {
                out.put_u8(2);
                out.put_bytes_with_len(key);
                out.put_bytes_with_len(value);
            }
            Self::Delete { key } => {
                out.put_u8(3);
                out.put_bytes_with_len(key);
            }
            Self::OpenSession { session } => {
                out.put_u8(4);
                out.put_u128(session.0);
            }
            Self::EndSession { session } => {
                out.put_u8(5);
                out.put_u128(session.0);
            }
            Self::ExpireSessions { sessions } => {
                out.put_u8(6);
                out.put_list(sessions.iter(), |out, (session, deadline)| {
                    out.put_u128(session.0);
                    out.put_u64(*deadline);
                });
            }
            Self::ChangeSettings { settings } => {
                out.put_u8(7);
                settings.encode(out);
            }
        }
    }

    pub(crate) fn decode(bytes: Bytes) -> Decoded<Self> {
        let mut reader = Reader::new(bytes);
        let command = match reader.u8()? {
            1 => Self::Found {
                cluster_id: reader.u128()?,
                revision_base: reader.u64()?,
                settings: Settings::decode(&mut reader)?,
            },
            2 => Self::Put { key: read_key(&mut reader)?, value: reader.bytes()? },
            3 => Self::Delete { key: read_key(&mut reader)? },
            4 => Self::OpenSession { session: SessionId(reader.u128()?) },
            5 => Self::EndSession { session: SessionId(reader.u128()?) },
            6 => Self::ExpireSessions {
                sessions: reader.list(|r| Ok((SessionId(r.u128()?), r.u64()?)))?,
            },
            7 => Self::ChangeSettings { settings: Settings::decode(&mut reader)? },
            tag => {
                return Err(DecodeError::new(format!(
                    "command {tag} is unknown to format {FORMAT_LEVEL}"
                )));
            }
        };
        reader.finish()?;
        Ok(command)
    }

    /// Returns whether the command may enter while the disk or the map is full.
    pub(crate) const fn frees_space(&self) -> bool {
        !matches!(self, Self::Put { .. })
    }
}

fn read_key(reader: &mut Reader) -> Decoded<Bytes> {
    let key = reader.bytes()?;
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(DecodeError::new(format!("a key of {} bytes", key.len())));
    }
    Ok(key)
}

impl Settings {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_u64(self.storage_limit_bytes);
        out.put_u32(self.max_value_bytes);
        out.put_u32(self.max_command_bytes);
        out.put_u32(self.heartbeat_interval_ms);
        out.put_u32(self.election_timeout_ms);
        out.put_u16(self.format_level);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            storage_limit_bytes: reader.u64()?,
            max_value_bytes: reader.u32()?,
            max_command_bytes: reader.u32()?,
            heartbeat_interval_ms: reader.u32()?,
            election_timeout_ms: reader.u32()?,
            format_level: reader.u16()?,
        })
    }
}

impl Origin {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        out.put_u128(self.session.0);
        out.put_u64(self.sequence);
        out.put_u64(self.done_below);
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(Self {
            session: SessionId(reader.u128()?),
            sequence: reader.u64()?,
            done_below: reader.u64()?,
        })
    }
}

impl Payload {
    /// Builds the log bytes around a command that is already encoded.
    pub(crate) fn new(stamp: Stamp, origin: Option<Origin>, command: &[u8]) -> Self {
        let mut out = BytesMut::with_capacity(64 + command.len());
        out.put_u64(stamp.cluster_ms);
        out.put_u64(stamp.wall_ms);
        out.put_option(origin, |out, origin| origin.encode(out));
        out.put_slice(command);
        Self(out.freeze())
    }

    pub(crate) fn proposal(&self) -> Decoded<Proposal> {
        let mut reader = Reader::new(self.0.clone());
        let stamp = Stamp { cluster_ms: reader.u64()?, wall_ms: reader.u64()? };
        let origin = reader.option(Origin::decode)?;
        Ok(Proposal { stamp, origin, command: Command::decode(reader.rest())? })
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Outcome {
    pub(crate) fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::Done => out.put_u8(1),
            Self::Put { revision, replaced } => {
                out.put_u8(2);
                out.put_u64(*revision);
                out.put_bool(*replaced);
            }
            Self::Deleted { revision, existed } => {
                out.put_u8(3);
                out.put_u64(*revision);
                out.put_bool(*existed);
            }
            Self::AppliedAt { revision } => {
                out.put_u8(4);
                out.put_u64(*revision);
            }
            Self::Rejected(rejection) => {
                out.put_u8(5);
                rejection.encode(out);
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::Done,
            2 => Self::Put { revision: reader.u64()?, replaced: reader.bool()? },
            3 => Self::Deleted { revision: reader.u64()?, existed: reader.bool()? },
            4 => Self::AppliedAt { revision: reader.u64()? },
            5 => Self::Rejected(Rejection::decode(reader)?),
            tag => return Err(DecodeError::new(format!("outcome {tag} is unknown"))),
        })
    }
}

impl Rejection {
    fn encode<W: Writer>(&self, out: &mut W) {
        match self {
            Self::SessionExpired => out.put_u8(1),
            Self::Stale => out.put_u8(2),
            Self::Full { used, limit } => {
                out.put_u8(3);
                out.put_u64(*used);
                out.put_u64(*limit);
            }
            Self::TooManySessions => out.put_u8(4),
            Self::ValueTooLarge { limit } => {
                out.put_u8(5);
                out.put_u32(*limit);
            }
            Self::OutOfPlace => out.put_u8(6),
        }
    }

    fn decode(reader: &mut Reader) -> Decoded<Self> {
        Ok(match reader.u8()? {
            1 => Self::SessionExpired,
            2 => Self::Stale,
            3 => Self::Full { used: reader.u64()?, limit: reader.u64()? },
            4 => Self::TooManySessions,
            5 => Self::ValueTooLarge { limit: reader.u32()? },
            6 => Self::OutOfPlace,
            tag => return Err(DecodeError::new(format!("rejection {tag} is unknown"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn settings() -> Settings {
        Settings {
            storage_limit_bytes: 1,
            max_value_bytes: 2,
            max_command_bytes: 3,
            heartbeat_interval_ms: 4,
            election_timeout_ms: 5,
            format_level: 6,
        }
    }

    /// The log of an old binary must stay readable: these bytes never change.
    #[test]
    fn the_bytes_of_every_command_are_golden() {
        let session = SessionId(0xab);
        let id = "000000000000000000000000000000ab";
        let set = "0000000000000001000000020000000300000004000000050006";
        let golden = [
            (
                Command::Found { cluster_id: 0xab, revision_base: 9, settings: settings() },
                format!("01{id}0000000000000009{set}"),
            ),
            (
                Command::Put { key: Bytes::from_static(b"k"), value: Bytes::from_static(b"vv") },
                "02000000016b000000027676".to_owned(),
            ),
            (Command::Delete { key: Bytes::from_static(b"k") }, "03000000016b".to_owned()),
            (Command::OpenSession { session }, format!("04{id}")),
            (Command::EndSession { session }, format!("05{id}")),
            (
                Command::ExpireSessions { sessions: vec![(session, 7)] },
                format!("0600000001{id}0000000000000007"),
            ),
            (Command::ChangeSettings { settings: settings() }, format!("07{set}")),
        ];
        for (command, bytes) in golden {
            assert_eq!(hex(&command.encode()), bytes);
            assert_eq!(Command::decode(command.encode()).unwrap(), command);
        }
    }

    #[test]
    fn the_bytes_of_every_outcome_are_golden() {
        let golden = [
            (Outcome::Done, "01"),
            (Outcome::Put { revision: 5, replaced: true }, "02000000000000000501"),
            (Outcome::Deleted { revision: 5, existed: false }, "03000000000000000500"),
            (Outcome::AppliedAt { revision: 5 }, "040000000000000005"),
            (Outcome::Rejected(Rejection::SessionExpired), "0501"),
            (Outcome::Rejected(Rejection::Stale), "0502"),
            (
                Outcome::Rejected(Rejection::Full { used: 1, limit: 2 }),
                "050300000000000000010000000000000002",
            ),
            (Outcome::Rejected(Rejection::TooManySessions), "0504"),
            (Outcome::Rejected(Rejection::ValueTooLarge { limit: 3 }), "050500000003"),
            (Outcome::Rejected(Rejection::OutOfPlace), "0506"),
        ];
        for (outcome, bytes) in golden {
            let mut out = BytesMut::new();
            outcome.encode(&mut out);
            assert_eq!(hex(&out), bytes);
            assert_eq!(Outcome::decode(&mut Reader::new(out.freeze())).unwrap(), outcome);
        }
    }

    #[test]
    fn the_bytes_of_a_proposal_are_golden() {
        let origin = Origin { session: SessionId(1), sequence: 2, done_below: 1 };
        let command = Command::Delete { key: Bytes::from_static(b"k") };
        let payload =
            Payload::new(Stamp { cluster_ms: 3, wall_ms: 4 }, Some(origin), &command.encode());
        assert_eq!(
            hex(&payload.0),
            "0000000000000003000000000000000401000000000000000000000000000000010000000000000002000000000000000103000000016b"
        );
        let proposal = payload.proposal().unwrap();
        assert_eq!((proposal.origin, proposal.command), (Some(origin), command));
    }

    #[test]
    fn an_unknown_command_and_a_longer_one_are_refused() {
        assert!(Command::decode(Bytes::from_static(&[200])).is_err());
        assert!(Command::decode(Bytes::from_static(b"\x03\0\0\0\x01kx")).is_err());
        assert!(Command::decode(Bytes::from_static(b"\x03\0\0\0\0")).is_err());
    }
}
