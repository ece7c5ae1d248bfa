//! `BackupFile` is a backup on a disk, read once from its first byte to its last.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use bytes::Bytes;

use crate::command::LeaseNumber;
use crate::error::{Error, ErrorKind, Result};
use crate::raft::StagedState;
use crate::storage::backup_frame::{BackupHeader, Broken, Frame, FrameReader};
use crate::storage::damage::Damage;
use crate::storage::row::RowId;
use crate::storage::snapshot_sink::SnapshotSink;
use crate::storage::state_disk::Stage;
use crate::storage::state_record::Meta;
use crate::versions::FORMAT_LEVEL;

/// What a backup was found to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BackupCheck {
    pub(crate) header: Option<BackupHeader>,
    pub(crate) damage: Damage,
}

/// A backup that is being read into a stage.
pub(super) struct BackupFile {
    check: BackupCheck,
    /// Gone once something did not fit.
    sink: Option<SnapshotSink>,
}

/// Reads a whole backup and says what is wrong with it.
///
/// # Errors
/// `Refused` if there is no backup of this version at `path`, `Storage` if it cannot be read.
pub(crate) fn check_backup(path: &Path) -> Result<BackupCheck> {
    let mut file = BackupFile::read(path, Box::new(Nowhere))?;
    if let Some(sink) = file.sink.take()
        && let Err(error) = sink.finish_as(|meta| file.check.fit(meta))
    {
        file.refuse(0, error)?;
    }
    Ok(file.check)
}

impl BackupFile {
    /// Reads the backup at `path` into `stage`, as far as it is whole.
    pub(super) fn read(path: &Path, stage: Box<dyn Stage>) -> Result<Self> {
        let at = path.display();
        let failed = |error: std::io::Error| {
            let message = format!("cannot read the backup {at}: check the path and the disk");
            Error::storage(message).with_source(error)
        };
        let input = BufReader::new(File::open(path).map_err(failed)?);
        let sink = Some(SnapshotSink::of_backup(stage));
        let mut file = Self { check: BackupCheck::default(), sink };
        let mut frames = match FrameReader::new(input) {
            Ok(frames) => frames,
            Err(broken) => return Err(told(&broken, path)),
        };
        loop {
            match frames.next() {
                Ok(None) => return Ok(file),
                Ok(Some((at, frame))) => file.take(at, frame)?,
                Err(Broken::Io(error)) => return Err(failed(error)),
                Err(Broken::Stranger(_)) => return Err(Error::internal("a backup began twice")),
                Err(Broken::Frame { number, at, why }) => {
                    file.damaged(format_args!("frame {number} at byte {at}"), &why);
                }
                Err(Broken::Total { at, why }) => {
                    // Of a file with damage that has a name this says nothing new.
                    if file.check.damage.is_none() {
                        file.damaged(format_args!("the end at byte {at}"), &why);
                    }
                }
                Err(Broken::Rest { at, why }) => {
                    file.damaged(format_args!("from byte {at} on"), &why);
                    return Ok(file);
                }
            }
        }
    }

    /// Completes the stage under another meta record.
    ///
    /// # Errors
    /// `Corrupt` if anything is damaged.
    pub(super) fn finish(
        mut self,
        change: impl FnOnce(Meta) -> Result<Meta>,
    ) -> Result<StagedState> {
        match self.sink.take().filter(|_| self.check.damage.is_none()) {
            Some(sink) => sink.finish_as(|meta| change(self.check.fit(meta)?)),
            None => Err(self.check.refusal()),
        }
    }

    fn take(&mut self, at: u64, frame: Frame) -> Result<()> {
        match frame {
            Frame::Header(header) if header.settings.format_level > FORMAT_LEVEL => {
                return Err(Error::refused(format!(
                    "the backup is of format level {}, this kvraft knows {FORMAT_LEVEL}: use a \
                     newer kvraft",
                    header.settings.format_level
                )));
            }
            Frame::Header(header) => self.check.header = Some(header),
            Frame::Part(part) => {
                let written = self.sink.as_mut().map_or(Ok(()), |sink| sink.write(&part));
                if let Err(error) = written {
                    self.refuse(at, error)?;
                }
            }
            Frame::End => {}
        }
        Ok(())
    }

    /// Notes records that do not fit together; any other failure is not the backup's.
    fn refuse(&mut self, at: u64, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        let why = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
        let why = if why.is_empty() { error.message().to_owned() } else { why };
        self.damaged(format_args!("the records in the frame at byte {at}"), &why);
        Ok(())
    }

    fn damaged(&mut self, place: impl std::fmt::Display, why: &str) {
        self.sink = None;
        self.check.damage.add(place, why);
    }
}

impl BackupCheck {
    /// Returns the meta record of the stream, if it is the one that the header tells of.
    fn fit(&self, meta: Meta) -> Result<Meta> {
        let fits = self.header.is_some_and(|header| {
            let founding = meta.founding.filter(|founding| {
                founding.cluster_id == header.cluster_id && founding.settings == header.settings
            });
            let revision = founding
                .map(|founding| founding.revision_base.saturating_add(header.applied.index));
            revision == Some(header.revision)
                && (meta.applied, meta.len, meta.bytes)
                    == (Some(header.applied), header.entries, header.bytes)
        });
        if fits { Ok(meta) } else { Err(Error::corrupt("its header tells of another state")) }
    }

    /// Returns the error of whoever needs the backup whole.
    pub(super) fn refusal(&self) -> Error {
        let first = self.damage.named.first().map_or("it is empty", String::as_str);
        let more = self.damage.named.len().saturating_sub(1) as u64 + self.damage.more;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        Error::corrupt(format!("the backup is damaged ({first}{more}): take another one"))
    }
}

fn told(broken: &Broken, path: &Path) -> Error {
    let at = path.display();
    match broken {
        Broken::Stranger(why) => Error::refused(format!("{at} cannot be read as a backup: {why}")),
        Broken::Frame { why, .. } | Broken::Total { why, .. } | Broken::Rest { why, .. } => {
            Error::corrupt(format!("{at}: {why}"))
        }
        Broken::Io(error) => Error::storage(format!("cannot read the backup {at}: {error}")),
    }
}

/// A stage that keeps nothing: the sink before it checks.
struct Nowhere;

impl Stage for Nowhere {
    fn put_entries(&mut self, _: &[(Bytes, Bytes)]) -> Result<()> {
        Ok(())
    }

    fn put_lease_keys(&mut self, _: &[(LeaseNumber, Bytes)]) -> Result<()> {
        Ok(())
    }

    fn put_rows(&mut self, _: &[(RowId, Bytes)]) -> Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Meta) -> Result<StagedState> {
        Ok(StagedState::new(()))
    }
}
