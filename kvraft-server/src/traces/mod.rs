//! `Traces` takes the spans of requests and has them told to a collector of OpenTelemetry.
//!
//! A request is traced if its `traceparent` says so, or, without one, by chance. Its spans wait in
//! a queue with a bound, which a thread of its own empties: a collector that is slow, or gone, costs
//! spans and never holds a request up.

mod otlp;
mod parent;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use ring::rand::{SecureRandom as _, SystemRandom};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use self::otlp::Collector;
use self::parent::Parent;

/// The target of the spans that are told; those of the core have it too.
pub(crate) const TARGET: &str = "kvraft::span";
/// Spans that wait for the collector; more are dropped, and counted.
const MAX_WAITING: usize = 8192;
/// Spans in one message.
const MAX_BATCH: usize = 512;
/// How long a span waits for others to be told with.
const LINGER: Duration = Duration::from_secs(1);

/// What operators have said of traces.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The whole URL that takes spans.
    pub(crate) url: String,
    /// The part of the requests that are traced of those that do not say it.
    pub(crate) ratio: f64,
    /// The name of this node.
    pub(crate) name: String,
}

/// How many spans were told, and how many were lost.
#[derive(Debug, Default)]
pub(crate) struct Told {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Told {
    /// Spans that the collector has taken.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Spans for which there was no room, or which the collector did not take.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// A span that has ended.
#[derive(Debug)]
struct Ended {
    trace: u128,
    id: u64,
    parent: Option<u64>,
    name: &'static str,
    begin: SystemTime,
    took: Duration,
    facts: Facts,
}

/// What goes to the thread.
enum Message {
    Span(Box<Ended>),
    /// Whoever waits hears that all before is told.
    Flush(SyncSender<()>),
}

/// The layer that sees spans begin and end. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Traces {
    queue: SyncSender<Message>,
    told: Arc<Told>,
    ratio: f64,
    random: SystemRandom,
}

impl Traces {
    /// Starts the thread that tells spans.
    pub(crate) fn start(options: Options) -> Result<Self> {
        let (queue, waiting) = sync_channel(MAX_WAITING);
        let told = Arc::<Told>::default();
        let collector = Collector::new(options.url, &options.name);
        let of_thread = Arc::clone(&told);
        std::thread::Builder::new()
            .name("kvraft-traces".to_owned())
            .spawn(move || tell(&waiting, &collector, &of_thread))
            .context("cannot start the thread of the traces")?;
        Ok(Self { queue, told, ratio: options.ratio, random: SystemRandom::new() })
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }

    /// Waits until what has ended is told, at most so long. Blocks.
    pub(crate) fn flush(&self, patience: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() && wait.recv_timeout(patience).is_err()
        {
            tracing::debug!("the last spans were not told in time");
        }
    }

    fn random(&self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        // Without randomness there are no traces, and everything else is fine.
        self.random.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Decides on a request: the trace that it is part of and its parent there, if it is traced.
    fn root(&self, traceparent: &str) -> Option<(u128, Option<u64>)> {
        if let Some(parent) = Parent::parse(traceparent) {
            return parent.sampled.then_some((parent.trace, Some(parent.span)));
        }
        let bytes = self.random()?;
        let trace = u128::from_be_bytes(bytes);
        // 53 bits of it, which a float has exactly.
        let chance = (u64::try_from(trace >> 75).unwrap_or(u64::MAX) as f64) / (1_u64 << 53) as f64;
        (chance < self.ratio).then_some((trace, None))
    }
}

/// A span that goes on.
struct Open {
    trace: u128,
    id: u64,
    parent: Option<u64>,
    begin: SystemTime,
    since: Instant,
    facts: Facts,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut facts = Facts::default();
        attributes.record(&mut facts);
        let place = match span.parent() {
            // What belongs to a request that is not traced is not traced.
            Some(above) => above.extensions().get::<Open>().map(|open| (open.trace, Some(open.id))),
            None if facts.traceparent.is_some() => {
                self.root(facts.traceparent.as_deref().unwrap_or_default())
            }
            // What nobody has asked for by HTTP.
            None => None,
        };
        let Some(((trace, parent), random)) = place.zip(self.random()) else { return };
        let [a, b, c, d, e, f, g, h, ..] = random;
        let id = u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1);
        let begin = now();
        let open = Open { trace, id, parent, begin, since: Instant::now(), facts };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.facts);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let Open { trace, id, parent, begin, since, facts } = open;
        let (name, took) = (span.name(), since.elapsed());
        let ended = Ended { trace, id, parent, name, begin, took, facts };
        if self.queue.try_send(Message::Span(Box::new(ended))).is_err() {
            self.told.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What is told of a span beside its times: of a request, how it was asked for and answered.
#[derive(Debug, Default)]
struct Facts {
    /// Present on requests alone, and empty where there was no header.
    traceparent: Option<String>,
    method: String,
    route: String,
    status: Option<u64>,
}

impl Visit for Facts {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "traceparent" => self.traceparent = Some(value.to_owned()),
            "method" => value.clone_into(&mut self.method),
            "route" => value.clone_into(&mut self.route),
            _ => {}
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[expect(clippy::disallowed_methods, reason = "collectors put the spans of many machines in order")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The thread: gathers what has ended and tells it, until nobody can end a span any more.
fn tell(waiting: &Receiver<Message>, collector: &Collector, told: &Told) {
    let mut is_heard = true;
    while let Ok(first) = waiting.recv() {
        let (batch, asked) = gather(waiting, first);
        let count = batch.len() as u64;
        if count > 0 {
            match collector.tell(&batch) {
                Ok(()) => {
                    told.sent.fetch_add(count, Ordering::Relaxed);
                    is_heard = true;
                }
                Err(error) => {
                    told.dropped.fetch_add(count, Ordering::Relaxed);
                    if std::mem::take(&mut is_heard) {
                        tracing::warn!("spans are lost: {error:#}");
                    }
                }
            }
        }
        if let Some(asked) = asked {
            // Whoever asked may have gone.
            asked.send(()).ok();
        }
    }
}

/// Takes what comes within a moment, or up to a flush.
fn gather(waiting: &Receiver<Message>, first: Message) -> (Vec<Ended>, Option<SyncSender<()>>) {
    let (mut batch, mut next, begin) = (Vec::new(), Some(first), Instant::now());
    while let Some(message) = next {
        match message {
            Message::Span(span) => batch.push(*span),
            Message::Flush(asked) => return (batch, Some(asked)),
        }
        let left = LINGER.saturating_sub(begin.elapsed());
        next = if batch.len() < MAX_BATCH { waiting.recv_timeout(left).ok() } else { None };
    }
    (batch, None)
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn layer(ratio: f64, room: usize) -> (Traces, Receiver<Message>) {
        let (queue, waiting) = sync_channel(room);
        let random = SystemRandom::new();
        (Traces { queue, told: Arc::default(), ratio, random }, waiting)
    }

    fn ended(waiting: &Receiver<Message>) -> Vec<Ended> {
        let spans = waiting.try_iter().filter_map(|message| match message {
            Message::Span(span) => Some(*span),
            Message::Flush(_) => None,
        });
        spans.collect()
    }

    fn ask(traces: Traces, traceparent: &str) {
        let subscriber = tracing_subscriber::registry().with(traces);
        tracing::subscriber::with_default(subscriber, || {
            let request =
                tracing::debug_span!(target: TARGET, "request", traceparent, status = 1_u64);
            request.in_scope(|| tracing::debug_span!(target: TARGET, "propose").in_scope(|| {}));
            request.record("status", 201_u64);
        });
    }

    #[test]
    fn spans_are_parts_of_the_trace_that_the_request_names() {
        let (traces, waiting) = layer(0.0, 8);
        ask(traces, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let spans = ended(&waiting);
        let [propose, request] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(request.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!(request.parent, Some(0xb7ad_6b71_6920_3331));
        assert_eq!(request.facts.status, Some(201));
        assert_eq!((propose.trace, propose.parent), (request.trace, Some(request.id)));
        assert!(propose.took <= request.took);
    }

    #[test]
    fn a_request_that_says_not_to_be_traced_is_not_and_one_without_a_word_is_by_chance() {
        let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        for (ratio, traceparent, spans) in [(1.0, unsampled, 0), (1.0, "", 2), (0.0, "", 0)] {
            let (traces, waiting) = layer(ratio, 8);
            ask(traces, traceparent);
            assert_eq!(ended(&waiting).len(), spans, "{ratio} {traceparent}");
        }
    }

    #[test]
    fn a_full_queue_loses_spans_and_counts_them() {
        let (traces, waiting) = layer(1.0, 1);
        let told = traces.told();
        ask(traces, "");
        assert_eq!((ended(&waiting).len(), told.dropped()), (1, 1));
    }
}
