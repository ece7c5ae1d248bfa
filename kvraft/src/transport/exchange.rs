//! `Exchange` is an answer that comes part by part, each when it is asked for.
//!
//! Neither side keeps more than the part that is under way: what is not asked for is not read.

use quinn::{RecvStream, SendStream};

use super::frame::{expect_frame, frame, write_frame};
use super::kind::{self, RESPONSE_LIMIT};
use super::message::Response;
use super::peer::Peer;
use super::query::Answer;
use crate::error::{Error, Result};

/// The asking side; dropping it tells the other that no more is wanted.
#[derive(Debug)]
pub(crate) struct Exchange {
    peer: Peer,
    send: SendStream,
    recv: RecvStream,
}

impl Exchange {
    pub(super) const fn new(peer: Peer, send: SendStream, recv: RecvStream) -> Self {
        Self { peer, send, recv }
    }

    /// Returns who answers.
    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Asks for the next part and waits for it. Not safe to cancel: drop the exchange then.
    pub(crate) async fn next(&mut self) -> Result<Answer> {
        write_frame(&mut self.send, frame(kind::NEXT, 0, |_| {})).await?;
        self.part().await
    }

    /// Waits for a part that was asked for.
    pub(super) async fn part(&mut self) -> Result<Answer> {
        let frame = expect_frame(&mut self.recv, RESPONSE_LIMIT).await.map_err(Error::from)?;
        let response = Response::decode(frame).map_err(Error::from)?;
        if let Response::Answer(answer) = response {
            return Ok(answer);
        }
        let Response::Failed(failure) = response else {
            return Err(Error::internal(format!("{} answered something else", self.peer)));
        };
        Err(failure.into())
    }
}
