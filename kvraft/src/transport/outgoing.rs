//! `Outgoing` is a snapshot on its way to one peer.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::time::timeout;

use super::client::{Client, Lane};
use super::frame::{expect_frame, write_frame};
use super::kind::RESPONSE_LIMIT;
use super::message::{Request, Response, SnapshotPart};
use super::network::within;
use super::pace::Pace;
use super::peer::Peer;
use crate::error::{Error, ErrorKind};
use crate::raft::{SnapshotMeta, SnapshotResponse, SnapshotSource, Vote};

/// A received snapshot is checked, synced and swapped in before its answer; this is for large
/// ones on slow disks, since a dead peer is noticed by its connection.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(300);
/// A receiver that stops listening has sent its reason before, or sends none.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(1);
/// A chunk that waits longer than this for its moment sends empty ones ahead, so that the receiver,
/// which gives up after 30 s without one, knows that it is not forgotten.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Where a snapshot goes, and how.
pub(super) struct Outgoing<'a> {
    pub(super) client: &'a Arc<Client>,
    pub(super) peer: &'a Peer,
    pub(super) pace: &'a Pace,
    /// How long the peer may take to take one chunk.
    pub(super) stall: Duration,
}

/// Why a snapshot did not get through.
pub(super) enum SendFailure {
    /// The peer cannot be reached, or wants none.
    Unwanted(Error),
    /// This node cannot read its state.
    Source(io::Error),
    /// The peer or the way to it was lost; a peer that stops listening may have said why.
    Lost(Error),
}

impl SendFailure {
    /// Whether what the peer has is worth keeping: it may want the rest on another way.
    fn may_go_on(&self) -> bool {
        match self {
            Self::Lost(_) => true,
            Self::Unwanted(error) => error.kind() == ErrorKind::Unavailable,
            Self::Source(_) => false,
        }
    }
}

/// Read on other threads, one at a time.
type Source = Arc<Mutex<Box<dyn SnapshotSource>>>;

impl Outgoing<'_> {
    /// Sends the snapshot, or what the peer lacks of it if its sending broke off before.
    pub(super) async fn send(
        &self,
        vote: Vote,
        meta: &SnapshotMeta,
        source: Box<dyn SnapshotSource>,
    ) -> Result<SnapshotResponse, SendFailure> {
        let is_again = source.is_sent_again();
        let source = Arc::new(Mutex::new(source));
        if is_again {
            match self.open(vote, meta, true).await {
                Ok((send, mut recv)) => {
                    if let Some(bytes) = self.held_by_peer(&mut recv).await? {
                        skip(&source, bytes).await?;
                        return self.transfer(send, recv, source).await;
                    }
                }
                // An earlier release has no word for what it holds.
                Err(SendFailure::Unwanted(error)) if error.kind() == ErrorKind::Refused => {}
                Err(failure) => return Err(failure),
            }
        }
        let (send, recv) = self.open(vote, meta, false).await?;
        self.transfer(send, recv, source).await
    }

    async fn open(
        &self,
        vote: Vote,
        meta: &SnapshotMeta,
        resumes: bool,
    ) -> Result<(SendStream, RecvStream), SendFailure> {
        let request = Request::Snapshot { vote, meta: meta.clone(), resumes };
        self.client
            .open(self.peer, Lane::Snapshots, &request, within(self.stall))
            .await
            .map_err(SendFailure::Unwanted)
    }

    /// Returns how many bytes the peer has of the snapshot; `None` if it does not say, as earlier
    /// releases do not.
    async fn held_by_peer(&self, recv: &mut RecvStream) -> Result<Option<u64>, SendFailure> {
        let answer = timeout(self.stall, expect_frame(recv, RESPONSE_LIMIT)).await;
        let silent = || SendFailure::Lost(Error::unavailable("it does not say what it has"));
        let frame = answer.map_err(|_| silent())?.map_err(|error| lost(error.into()))?;
        let answer = Response::decode(frame).map_err(|error| lost(error.into()))?;
        if let Response::SnapshotHeld(bytes) = answer {
            return Ok(Some(bytes));
        }
        let reason = answer.unfit(self.peer, "snapshot");
        tracing::debug!(%reason, "a snapshot begins anew");
        Ok(None)
    }

    /// Sends what is left of the snapshot, and waits until it is installed.
    async fn transfer(
        &self,
        mut send: SendStream,
        mut recv: RecvStream,
        source: Source,
    ) -> Result<SnapshotResponse, SendFailure> {
        let sent = self.send_chunks(&mut send, &source).await;
        let patience = match &sent {
            Ok(()) => INSTALL_TIMEOUT,
            Err(SendFailure::Lost(_) | SendFailure::Unwanted(_)) => LAST_WORD_TIMEOUT,
            Err(SendFailure::Source(_)) => Duration::ZERO,
        };
        let answer = timeout(patience, expect_frame(&mut recv, RESPONSE_LIMIT)).await;
        let result = match (sent, answer) {
            (Err(failure @ SendFailure::Source(_)), _) => Err(failure),
            (_, Ok(Ok(frame))) => match Response::decode(frame) {
                Ok(Response::SnapshotInstalled(response)) => Ok(response),
                Ok(other) => Err(SendFailure::Unwanted(other.unfit(self.peer, "snapshot"))),
                Err(error) => Err(lost(error.into())),
            },
            (Err(failure), _) => Err(failure),
            (Ok(()), Ok(Err(error))) => Err(lost(error.into())),
            (Ok(()), Err(_)) => Err(lost(Error::unavailable("it does not install in time"))),
        };
        if !result.as_ref().is_err_and(SendFailure::may_go_on) {
            locked(&source).settle();
        }
        result
    }

    /// Sends each chunk at its moment, and that it was the last one.
    async fn send_chunks(&self, send: &mut SendStream, source: &Source) -> Result<(), SendFailure> {
        while let Some(chunk) = read(source, SnapshotSource::next_chunk).await? {
            let bytes = chunk.len();
            self.wait_for_moment(send, bytes).await?;
            self.write(send, &SnapshotPart::Chunk(chunk)).await?;
            self.pace.count_sent(bytes);
        }
        self.write(send, &SnapshotPart::End).await?;
        // Only a stream that was reset cannot be finished, and this one was not.
        send.finish().ok();
        Ok(())
    }

    async fn wait_for_moment(
        &self,
        send: &mut SendStream,
        bytes: usize,
    ) -> Result<(), SendFailure> {
        let turn = self.pace.take(bytes);
        loop {
            let wait = turn.wait();
            tokio::time::sleep(wait.min(SIGN_OF_LIFE)).await;
            if wait <= SIGN_OF_LIFE {
                turn.has_come();
                return Ok(());
            }
            self.write(send, &SnapshotPart::Chunk(Bytes::new())).await?;
        }
    }

    async fn write(&self, send: &mut SendStream, part: &SnapshotPart) -> Result<(), SendFailure> {
        let written = timeout(self.stall, write_frame(send, part.encode())).await;
        written
            .unwrap_or_else(|_| Err(Error::unavailable("it takes no more of the snapshot")))
            .map_err(lost)
    }
}

const fn lost(error: Error) -> SendFailure {
    SendFailure::Lost(error)
}

/// Goes on behind what the peer has.
async fn skip(source: &Source, bytes: u64) -> Result<(), SendFailure> {
    if read(source, move |source| source.skip(bytes)).await? {
        return Ok(());
    }
    let error = Error::corrupt(format!("it claims {bytes} bytes of a shorter snapshot"));
    Err(SendFailure::Unwanted(error))
}

/// Reads the disk where that holds no other task up.
async fn read<T: Send + 'static>(
    source: &Source,
    work: impl FnOnce(&mut (dyn SnapshotSource + 'static)) -> io::Result<T> + Send + 'static,
) -> Result<T, SendFailure> {
    let source = Arc::clone(source);
    let done = tokio::task::spawn_blocking(move || work(&mut **locked(&source)));
    done.await
        .map_err(|error| lost(Error::closed("the node stops").with_source(error)))?
        .map_err(SendFailure::Source)
}

fn locked(source: &Source) -> MutexGuard<'_, Box<dyn SnapshotSource>> {
    // One that panicked is read no further: its reader has failed.
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
