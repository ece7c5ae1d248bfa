//! Logs: what the core says of its work, kept until a thread of Python takes it.

use std::fmt::{self, Write as _};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::prelude::*;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::call::Call;
use crate::errors;

/// The most records that wait for Python; more are dropped and counted, since no thread of the core
/// may wait for the interpreter.
const RECORDS: usize = 4096;

/// The levels of Python's `logging`, from the most talkative, as in `rank`.
const LEVELS: [u8; 5] = [5, 10, 20, 30, 40];

static LOGS: OnceLock<Logs> = OnceLock::new();

struct Logs {
    records: Mutex<mpsc::Receiver<Line>>,
    /// The least level that is taken.
    level: AtomicU8,
    dropped: AtomicU64,
}

/// `(level, room, text)`
type Line = (u8, &'static str, String);

/// Takes the events of the core. It has no spans, so that those of other libraries are not kept.
struct Collector(mpsc::Sender<Line>);

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let least = LOGS.get().map_or(u8::MAX, |logs| logs.level.load(Ordering::Relaxed));
        metadata.is_event() && level_of(metadata) >= least
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let line = (level_of(metadata), metadata.target(), text.message + &text.fields);
        if self.0.try_send(line).is_err()
            && let Some(logs) = LOGS.get()
        {
            logs.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The text of an event: its message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
        debug_assert!(written.is_ok(), "a string takes all text");
    }
}

fn level_of(metadata: &Metadata<'_>) -> u8 {
    let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
    let known = levels.iter().zip(LEVELS).find(|(level, _)| *level == metadata.level());
    known.map_or(u8::MAX, |(_, python)| python)
}

/// Begins to keep what the core says at this level of `logging` or above it, or changes the level.
#[pyfunction]
fn keep_logs(py: Python<'_>, level: u8) -> PyResult<()> {
    if let Some(logs) = LOGS.get() {
        logs.level.store(level, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        return Ok(());
    }
    let (sender, records) = mpsc::channel(RECORDS);
    let collector = Collector(sender);
    tracing::subscriber::set_global_default(collector)
        .map_err(|error| errors::invalid(py, &error.to_string()))?;
    let logs = Logs {
        records: Mutex::new(records),
        level: AtomicU8::new(level),
        dropped: AtomicU64::new(0),
    };
    LOGS.get_or_init(|| logs);
    tracing::callsite::rebuild_interest_cache();
    Ok(())
}

/// Waits for records; answers `([(level, room, text)], how many were dropped before)`.
#[pyfunction]
fn take_logs() -> Call {
    let take = async {
        let Some(logs) = LOGS.get() else { return Ok((Vec::new(), 0)) };
        let mut lines = Vec::new();
        // Not locked while it waits: a forked child has another thread for it than its parent.
        poll_fn(|context| {
            let mut records = logs.records.lock().unwrap_or_else(PoisonError::into_inner);
            records.poll_recv_many(context, &mut lines, RECORDS)
        })
        .await;
        Ok((lines, logs.dropped.swap(0, Ordering::Relaxed)))
    };
    Call::new(take, |py, taken| Ok(taken.into_pyobject(py)?.into_any().unbind()))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(keep_logs, module)?)?;
    module.add_function(wrap_pyfunction!(take_logs, module)?)
}
