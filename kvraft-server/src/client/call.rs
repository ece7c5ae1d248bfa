//! A `Call` is one request, sent until it is answered, refused or given up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::Response;
use hyper::body::Incoming;
use hyper::header::{LOCATION, RETRY_AFTER};
use tokio::time::{sleep_until, timeout, timeout_at};

use super::Client;
use super::answer::{Answer, Broke};
use super::backoff;
use super::base::Base;
use super::failure::{Failure, Kind};
use super::payload::Payload;
use super::request::{Repeat, Request};

/// How often one attempt is sent on. A cluster needs one; leaders that change meanwhile some more.
const MOST_REDIRECTS: u32 = 5;
/// A body of this many bytes gets another second.
const BYTES_A_SECOND: u64 = 1 << 20;
/// How often nodes are asked at most where the others are, and how long that may take.
const LEARN_EVERY: Duration = Duration::from_millis(500);
const LEARN_PATIENCE: Duration = Duration::from_secs(2);

/// How an attempt ended that has brought no answer.
enum Ended {
    /// It is of no use to try again anywhere.
    Finally(anyhow::Error),
    /// This node will not do, another may.
    Unfit(Base, String),
    /// Here or elsewhere it may be otherwise.
    ForNow(Later),
}

struct Later {
    base: Base,
    why: String,
    /// How long the node wishes not to be asked.
    wish: Option<Duration>,
    /// Whether what was to be done may have been.
    perhaps_done: bool,
    /// Whether a long answer had begun.
    begun: bool,
}

impl Later {
    fn ended(base: &Base, why: String, perhaps_done: bool) -> Ended {
        Ended::ForNow(Self { base: base.clone(), why, wish: None, perhaps_done, begun: false })
    }
}

/// How long all attempts may take if nobody has said it.
fn usual(request: &Request) -> Duration {
    super::USUAL.max(request.patience.unwrap_or_default()) + of_body(request)
}

/// How much longer a body may take.
fn of_body(request: &Request) -> Duration {
    let len = request.payload.as_ref().map_or(0, Payload::len);
    Duration::from_secs(len / BYTES_A_SECOND)
}

/// One request on its way to an answer.
pub(super) struct Call<'a> {
    client: &'a Client,
    request: &'a Request,
    begun: Instant,
    deadline: Instant,
    attempts: u32,
    /// Whether an attempt may have done it whose answer was lost.
    perhaps_done: bool,
    unfit: BTreeSet<Base>,
    /// The last that was heard of each node.
    heard: BTreeMap<Base, String>,
}

impl<'a> Call<'a> {
    pub(super) fn new(client: &'a Client, request: &'a Request) -> Self {
        let begun = Instant::now();
        Self {
            client,
            request,
            begun,
            deadline: begun + client.limits.timeout.unwrap_or_else(|| usual(request)),
            attempts: 0,
            perhaps_done: false,
            unfit: BTreeSet::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Sends it until `take` has taken the answer.
    pub(super) async fn run<T>(
        mut self,
        take: impl AsyncFn(Answer) -> Result<T, Broke>,
    ) -> Result<T> {
        loop {
            let next = self.client.endpoints().next(&self.unfit);
            let Some((base, at)) = next else { return Err(self.nobody_left().into()) };
            if at >= self.deadline {
                return Err(self.gave_up("the time of --timeout is over").into());
            }
            sleep_until(at.into()).await;
            self.attempts += 1;
            match self.attempt(base.clone(), &take).await {
                Ok(done) => return Ok(done),
                Err(Ended::Finally(error)) => return Err(error),
                Err(Ended::Unfit(base, why)) => {
                    self.heard.insert(base.clone(), why);
                    self.unfit.insert(base);
                }
                Err(Ended::ForNow(later)) => {
                    if later.base != base {
                        // Who has sent us there would do it again at once.
                        self.client.endpoints().failed(&base, None);
                    }
                    self.later(later)?;
                }
            }
            if self.attempts > self.client.limits.retries && !self.unfit_only() {
                return Err(self.gave_up("that is as often as --retries allows").into());
            }
            if !self.request.here {
                self.learn().await;
            }
        }
    }

    /// Whether nothing has failed that might pass: each attempt then leaves one node less to ask.
    fn unfit_only(&self) -> bool {
        self.heard.len() == self.unfit.len()
    }

    /// Takes note of a failure that may pass; an error if it must not be tried again.
    fn later(&mut self, later: Later) -> Result<()> {
        let Later { base, why, wish, perhaps_done, begun } = later;
        if begun {
            // An answer that takes an hour breaks off as late as that. --retries bounds it still.
            self.deadline = Instant::now() + self.client.timeout();
        }
        self.client.endpoints().failed(&base, wish);
        self.heard.insert(base, why);
        self.perhaps_done |= perhaps_done && !self.request.reads();
        if self.perhaps_done && self.request.repeat == Repeat::Never {
            return Err(self.gave_up("it must not be sent twice").into());
        }
        Ok(())
    }

    /// Asks one node, and those that it sends us on to.
    async fn attempt<T>(
        &self,
        first: Base,
        take: &impl AsyncFn(Answer) -> Result<T, Broke>,
    ) -> Result<T, Ended> {
        let limits = &self.client.limits;
        let patience = self.request.patience.unwrap_or(limits.attempt) + of_body(self.request);
        let mut base = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let end = self.deadline.min(Instant::now() + patience);
            let response = self.head_of(&base, end).await?;
            if response.status() == 307 {
                let to = self.sent_on(&base, &response).await?;
                if self.unfit.contains(&to) {
                    let why = format!("sends us on to {to}, which will not do");
                    return Err(Ended::Unfit(first, why));
                }
                base = to;
                continue;
            }
            let success = response.status().is_success();
            let idle = self.request.idle.unwrap_or(patience);
            let answer = Answer::new(base.clone(), response, idle);
            if !success {
                return Err(self.refused(&base, answer, end).await);
            }
            let taken = if self.request.streamed {
                take(answer).await
            } else {
                let late = |_| Broke::Off("the answer did not end in time".to_owned());
                timeout_at(end.into(), take(answer)).await.map_err(late).flatten()
            };
            return match taken {
                Ok(taken) => {
                    self.client.endpoints().succeeded(&base);
                    Ok(taken)
                }
                Err(Broke::Off(why)) => {
                    let begun = self.request.streamed;
                    Err(Ended::ForNow(Later { base, why, wish: None, perhaps_done: true, begun }))
                }
                Err(Broke::Finally(error)) => Err(Ended::Finally(error)),
            };
        }
        let why = format!("was sent on more than {MOST_REDIRECTS} times, at last from {base}");
        Err(Later::ended(&first, why, false))
    }

    /// Sends it to one node, and waits for the head of its answer.
    async fn head_of(&self, base: &Base, end: Instant) -> Result<Response<Incoming>, Ended> {
        let asked = timeout_at(end.into(), self.client.transport.send(base, self.request));
        let unsent = match asked.await {
            Ok(Ok(response)) => {
                self.client.endpoints().answered(base);
                return Ok(response);
            }
            Ok(Err(unsent)) => unsent,
            Err(_) => return Err(Later::ended(base, "did not answer in time".into(), true)),
        };
        let objects = if unsent.perhaps_sent && !self.client.endpoints().has_answered(base) {
            timeout_at(end.into(), self.client.transport.objection(base)).await.unwrap_or_default()
        } else {
            Some(unsent.why.clone()).filter(|_| unsent.unfit)
        };
        Err(match objects {
            Some(why) => Ended::Unfit(base.clone(), why),
            None => Later::ended(base, unsent.why, unsent.perhaps_sent),
        })
    }

    /// Where a redirect leads to: a node that was named, or a member's advertised address.
    async fn sent_on(&self, from: &Base, response: &Response<Incoming>) -> Result<Base, Ended> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = location.map(|location| Base::before(location, &self.request.path));
        let Some(Ok(to)) = to else {
            let why = "sends us on to what is no node of this interface".to_owned();
            return Err(Ended::Unfit(from.clone(), why));
        };
        if self.request.here {
            let why = format!("sends us on to {to}, and was meant itself");
            return Err(Ended::Unfit(from.clone(), why));
        }
        if !self.client.endpoints().knows(&to) {
            // It may be a member that has come since.
            self.client.ask_for_members(from).await;
        }
        let mut endpoints = self.client.endpoints();
        if !endpoints.knows(&to) {
            drop(endpoints);
            let why = format!(
                "sends us on to {to}, which is neither an endpoint nor the address of a member; \
                 nothing was sent there"
            );
            return Err(Ended::Unfit(from.clone(), why));
        }
        endpoints.leads(&to);
        Ok(to)
    }

    /// What an answer means that is no success.
    async fn refused(&self, base: &Base, answer: Answer, end: Instant) -> Ended {
        let status = answer.status();
        let wish = answer.header(RETRY_AFTER.as_str()).and_then(backoff::wish);
        let said = timeout_at(end.into(), answer.problem()).await.unwrap_or_default();
        let mark = if said.is_empty() { "" } else { ": " };
        let why = format!("answered {status}{mark}{said}");
        let kind = match status {
            408 | 429 | 502..=504 => {
                let perhaps_done = matches!(status, 502 | 504);
                return Ended::ForNow(Later {
                    base: base.clone(),
                    why,
                    wish,
                    perhaps_done,
                    begun: false,
                });
            }
            401 | 403 => Kind::Denied,
            400 | 405 | 413 | 415 | 422 | 501 => Kind::Usage,
            500 if !self.request.reads() => Kind::Unknown,
            _ => Kind::No,
        };
        let failure = Failure::answered(kind, status, format!("{base} {why}"));
        Ended::Finally(if self.perhaps_done && !self.request.keyed {
            let lost =
                "the answer to an earlier attempt was lost: it may have been done by that one";
            failure.and(lost).into()
        } else {
            failure.into()
        })
    }

    /// Asks all others at once who leads, and takes the first answer.
    async fn learn(&self) {
        if !self.client.endpoints().may_learn(LEARN_EVERY) {
            return;
        }
        let others = self.client.endpoints().all();
        let others = others.into_iter().filter(|base| !self.unfit.contains(base));
        let asked: Vec<_> = others.collect();
        let mut asked: FuturesUnordered<_> =
            asked.iter().map(|base| self.client.ask_for_members(base)).collect();
        let first = async {
            while let Some(learned) = asked.next().await {
                if learned {
                    return;
                }
            }
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Who does not answer has told nothing; the next attempt goes where it would have gone.
        drop(timeout(left.min(LEARN_PATIENCE), first).await);
    }

    fn nobody_left(&self) -> Failure {
        let failure = |kind| Failure::new(kind, format!("no node will do: {}", self.told()));
        if self.perhaps_done {
            return failure(Kind::Unknown).and("it may or may not have been done");
        }
        failure(Kind::Denied)
    }

    fn gave_up(&self, why: &str) -> Failure {
        let seconds = self.begun.elapsed().as_secs_f64();
        let attempts = if self.attempts == 1 { "attempt" } else { "attempts" };
        let (kind, done) = match (self.perhaps_done, self.request.reads()) {
            (true, _) => (Kind::Unknown, "; it may or may not have been done"),
            (false, true) => (Kind::Unavailable, ""),
            (false, false) => (Kind::Unavailable, "; nothing was done"),
        };
        let request = self.request.name();
        Failure::new(
            kind,
            format!(
                "gave up on {request} after {} {attempts} in {seconds:.1} s, {why}: {}{done}",
                self.attempts,
                self.told()
            ),
        )
    }

    fn told(&self) -> String {
        let each: Vec<_> = self.heard.iter().map(|(base, why)| format!("{base} {why}")).collect();
        each.join("; ")
    }
}
