//! `kvraft_set_log_callback` tells what the library has to say, for people.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::boundary::{self, Context};
use crate::error::{c_text, kvraft_error};
use crate::fork;
use crate::status::kvraft_status;

/// How much is told: each level with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum kvraft_log_level {
    /// What somebody has to see to.
    KVRAFT_LOG_ERROR = 1,
    /// What may become an error.
    KVRAFT_LOG_WARN = 2,
    /// What happens once in a while: elections, members that come and go.
    KVRAFT_LOG_INFO = 3,
    /// What helps to find a fault.
    KVRAFT_LOG_DEBUG = 4,
    /// Everything.
    KVRAFT_LOG_TRACE = 5,
}

const LEVELS: [(kvraft_log_level, Level); 5] = [
    (kvraft_log_level::KVRAFT_LOG_ERROR, Level::ERROR),
    (kvraft_log_level::KVRAFT_LOG_WARN, Level::WARN),
    (kvraft_log_level::KVRAFT_LOG_INFO, Level::INFO),
    (kvraft_log_level::KVRAFT_LOG_DEBUG, Level::DEBUG),
    (kvraft_log_level::KVRAFT_LOG_TRACE, Level::TRACE),
];

/// Is told a message: its level (a value of enum kvraft_log_level), which part of the library says it,
/// and the text, both as UTF-8, gone when the callback returns. context is the caller's own.
///
/// It is called on any thread, by several at once, and has to be quick: the node waits for it. It
/// must call no function of this library that waits. It must not throw, nor leave by longjmp.
pub type kvraft_log_callback = Option<
    extern "C" fn(context: Context, level: c_int, part: *const c_char, message: *const c_char),
>;

type Callback = extern "C" fn(Context, c_int, *const c_char, *const c_char);

/// Has a callback told what the library has to say, of all maps in this process. Without one it says
/// nothing.
///
/// callback: replaces the one before, which is not called any more when this returns: what belongs to
/// it may be freed then. So this waits for calls of it that are under way on other threads; do not
/// hold what they wait for. Called out of a callback, it does not wait. NULL ends the one before.
/// context: the first argument of the callback.
/// level: how much is told, a value of enum kvraft_log_level.
///
/// KVRAFT_INVALID_ARGUMENT: level is none of them.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_set_log_callback(
    callback: kvraft_log_callback,
    context: Context,
    level: c_int,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::call(error, || {
        if !LEVELS.into_iter().any(|(known, _)| known as c_int == level) {
            return Err(kvraft_error::none_of("level", level, "kvraft_log_level"));
        }
        let listener = callback.map(|callback| Arc::new(Listener::new(callback, context)));
        LEVEL.store(if listener.is_some() { level } else { NOTHING }, Ordering::Relaxed);
        let before = {
            let mut current = LISTENER.write().unwrap_or_else(PoisonError::into_inner);
            mem::replace(&mut *current, listener)
        };
        SUBSCRIBED.get_or_init(|| {
            // This library has its own tracing: nobody else can have subscribed.
            drop(tracing::subscriber::set_global_default(Log));
        });
        tracing::callsite::rebuild_interest_cache();
        if let Some(before) = before {
            before.end();
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Whom everything is told.
static LISTENER: RwLock<Option<Arc<Listener>>> = RwLock::new(None);
/// How much is told: what is not is known without the lock above.
static LEVEL: AtomicI32 = AtomicI32::new(NOTHING);
const NOTHING: c_int = 0;
static SUBSCRIBED: OnceLock<()> = OnceLock::new();

thread_local! {
    /// Whether this thread is in a callback: what it says there is not told, or it would never end.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Says that this thread is in a callback, for as long as this lives.
struct Telling;

impl Telling {
    /// Begins, unless it has begun already.
    fn begin() -> Option<Self> {
        (!TELLING.replace(true)).then_some(Self)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.set(false);
    }
}

#[derive(Debug)]
struct Listener {
    callback: Callback,
    context: Context,
    over: AtomicBool,
    /// Held for reading by whoever is in a call.
    calls: RwLock<()>,
    generation: u32,
}

impl Listener {
    fn new(callback: Callback, context: Context) -> Self {
        let (over, calls) = (AtomicBool::new(false), RwLock::new(()));
        Self { callback, context, over, calls, generation: fork::generation() }
    }

    fn tell(&self, level: c_int, part: &CString, message: &CString) {
        let _call = self.calls.read().unwrap_or_else(PoisonError::into_inner);
        if !self.over.load(Ordering::Acquire) {
            (self.callback)(self.context, level, part.as_ptr(), message.as_ptr());
        }
    }

    /// Has it called no more, and waits for the calls under way: not from within one, nor for threads
    /// that a forked child does not have.
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        if !TELLING.get() && self.generation == fork::generation() {
            drop(self.calls.write());
        }
    }
}

/// Returns the number of a level, as in `kvraft_log_level`.
fn number(level: Level) -> c_int {
    let known = LEVELS.into_iter().find(|(_, known)| *known == level);
    known.map_or(NOTHING, |(level, _)| level as c_int)
}

/// Tells events; spans have no names that users know.
struct Log;

impl Subscriber for Log {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && number(*metadata.level()) <= LEVEL.load(Ordering::Relaxed)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let told = LEVEL.load(Ordering::Relaxed);
        let level = LEVELS.into_iter().find(|(level, _)| *level as c_int == told);
        Some(level.map_or(LevelFilter::OFF, |(_, level)| LevelFilter::from_level(level)))
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(_telling) = Telling::begin() else { return };
        let listener = LISTENER.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(listener) = listener else { return };
        let mut message = Message::default();
        event.record(&mut message);
        let metadata = event.metadata();
        listener.tell(number(*metadata.level()), &c_text(metadata.target()), &message.whole());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The text of an event, and what belongs to it.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Message {
    fn whole(&self) -> CString {
        c_text(&format!("{}{}", self.text, self.fields))
    }

    fn add(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        match field.name() {
            "message" => self.text.push_str(&value.to_string()),
            name => self.fields.push_str(&format!(" {name}={value}")),
        }
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format_args!("{value:?}"));
    }
}
