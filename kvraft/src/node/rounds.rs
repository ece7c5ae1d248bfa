//! `Rounds` lets the reads that wait together share one question.
//!
//! A read may use only an answer whose question was asked after the read began. So a read that
//! comes while a question is under way waits for the next one (design: life of a read).

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Reads that may wait for one answer; more are refused as `Overloaded`.
const MAX_WAITING: usize = 65_536;

/// One kind of question, asked at most once at a time.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<oneshot::Sender<Result<u64>>>,
    asking: bool,
}

impl Rounds {
    /// Returns the answer to the next question; `ask` asks it, and must end by itself.
    pub(super) async fn join<Ask, Answer>(self: &Arc<Self>, ask: Ask) -> Result<u64>
    where
        Ask: Fn() -> Answer + Send + 'static,
        Answer: Future<Output = Result<u64>> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        if self.enter(sender)? {
            tokio::spawn(self.clone().drive(ask));
        }
        receiver.await.unwrap_or_else(|_| {
            Err(Error::unavailable("the question of this read was lost; retry"))
        })
    }

    /// Joins the queue; returns whether the caller has to start the asking.
    fn enter(&self, sender: oneshot::Sender<Result<u64>>) -> Result<bool> {
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Error::new(
                ErrorKind::Overloaded,
                "too many reads wait; slow down, then retry",
            ));
        }
        queue.waiting.push(sender);
        Ok(!std::mem::replace(&mut queue.asking, true))
    }

    async fn drive<Ask, Answer>(self: Arc<Self>, ask: Ask)
    where
        Ask: Fn() -> Answer + Send + 'static,
        Answer: Future<Output = Result<u64>> + Send + 'static,
    {
        let mut asking = Asking { rounds: &self, ended: false };
        loop {
            let waiting = {
                let mut queue = self.lock();
                if queue.waiting.is_empty() {
                    // Under the lock: who comes next starts the asking again.
                    queue.asking = false;
                    asking.ended = true;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            let answer = ask().await;
            for sender in waiting {
                // A reader that has given up does not want its answer.
                drop(sender.send(answer.clone()));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The asking of one task. One that panics, or is dropped with its runtime, lets nobody wait for ever.
struct Asking<'a> {
    rounds: &'a Rounds,
    ended: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let mut queue = self.rounds.lock();
            queue.asking = false;
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_question_that_panics_fails_its_reads_and_no_later_one() {
        let rounds = Arc::new(Rounds::default());
        let failed = rounds.join(|| async { panic!("a bug") }).await;
        assert_eq!(failed.expect_err("nobody answers").kind(), ErrorKind::Unavailable);
        assert_eq!(rounds.join(|| std::future::ready(Ok(7))).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_read_that_comes_during_a_round_waits_for_the_next() {
        let (rounds, go) = (Arc::new(Rounds::default()), Arc::new(Notify::new()));
        let count = Arc::new(AtomicU64::new(0));
        let join = || {
            let (rounds, go, count) = (rounds.clone(), go.clone(), count.clone());
            tokio::spawn(async move {
                let ask = move || {
                    let (go, count) = (go.clone(), count.clone());
                    async move {
                        let round = count.fetch_add(1, Ordering::SeqCst) + 1;
                        go.notified().await;
                        Ok(round)
                    }
                };
                rounds.join(ask).await
            })
        };
        let first = join();
        while count.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let (second, third) = (join(), join());
        while rounds.lock().waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        go.notify_one();
        assert_eq!(first.await.unwrap().unwrap(), 1);
        go.notify_one();
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(third.await.unwrap().unwrap(), 2);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
