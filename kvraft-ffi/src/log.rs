//! `kvraft_set_log_callback` tells what the library has to say, for people.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_int};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::boundary::{self, Context};
use crate::error::{c_text, kvraft_error};
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
/// callback: replaces the one before; NULL ends it. A call of the one before may still be under way on
/// another thread when this returns.
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
        let known = LEVELS.into_iter().find(|(known, _)| *known as c_int == level);
        let Some((_, level)) = known else {
            return Err(kvraft_error::none_of("level", level, "kvraft_log_level"));
        };
        let listener = callback.map(|callback| Arc::new(Listener { callback, context, level }));
        *LISTENER.write().unwrap_or_else(PoisonError::into_inner) = listener;
        SUBSCRIBED.get_or_init(|| {
            // This library has its own tracing: nobody else can have subscribed.
            drop(tracing::subscriber::set_global_default(Log));
        });
        tracing::callsite::rebuild_interest_cache();
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Whom everything is told.
static LISTENER: RwLock<Option<Arc<Listener>>> = RwLock::new(None);
static SUBSCRIBED: OnceLock<()> = OnceLock::new();

thread_local! {
    /// Whether this thread is in a callback: what it says there is not told, or it would never end.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

#[derive(Debug)]
struct Listener {
    callback: Callback,
    context: Context,
    level: Level,
}

fn listener() -> Option<Arc<Listener>> {
    LISTENER.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Tells events; spans have no names that users know.
struct Log;

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && listener().is_some_and(|listener| *metadata.level() <= listener.level)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(listener) = listener() else { return };
        if TELLING.replace(true) {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let (text, part) = (message.whole(), c_text(event.metadata().target()));
        let level = LEVELS.into_iter().find(|(_, level)| level == event.metadata().level());
        let level = level.map_or(0, |(level, _)| level as c_int);
        (listener.callback)(listener.context, level, part.as_ptr(), text.as_ptr());
        TELLING.set(false);
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
