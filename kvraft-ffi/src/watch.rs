//! `kvraft_watch` tells what happens to the keys of a range, also to an event loop.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kvraft::{Watch, WatchEvent};

use crate::bell::Bell;
use crate::boundary;
use crate::error::kvraft_error;
use crate::held::Held;
use crate::map::{inner, kvraft_map};
use crate::range::{self, kvraft_range};
use crate::status::kvraft_status;
use crate::watch_event::kvraft_watch_event;
use crate::watch_options::kvraft_watch_options;

/// A watch under way. Not for several threads at once, but kvraft_close may be called meanwhile.
#[derive(Debug)]
pub struct kvraft_watch {
    following: Held<Following>,
}

#[derive(Debug)]
struct Following {
    events: Watch,
    /// Rung whenever it is worth asking for the next event.
    bell: Arc<Bell>,
}

impl Following {
    fn next_within(&mut self, timeout: Duration) -> Result<Option<WatchEvent>, kvraft_error> {
        let end = Instant::now().checked_add(timeout);
        loop {
            // Before the look, so that what comes after it is heard.
            self.bell.silence();
            let waker = Waker::from(Arc::clone(&self.bell));
            if let Poll::Ready(next) = self.events.poll_next_unpin(&mut Context::from_waker(&waker))
            {
                // There may be more, which nobody will ring for again.
                self.bell.ring();
                let Some(event) = next else { return Err(ended()) };
                return Ok(Some(event?));
            }
            if !self.bell.wait(end)? {
                return Ok(None);
            }
        }
    }
}

fn ended() -> kvraft_error {
    kvraft_error::new(kvraft_status::KVRAFT_CLOSED, "the watch has ended; begin another")
}

/// Begins to watch the keys in a range: every change is told, in the order of revisions, none lost
/// and none twice.
///
/// range, options: stay the caller's; options may be NULL for the defaults.
/// watch: where the watch goes; free it with kvraft_watch_free, before or after the map.
///
/// KVRAFT_COMPACTED: the revision to begin from is not held any more; kvraft_error_revision has the
/// oldest that is.
/// KVRAFT_OVERLOADED: too many watch on this node already.
/// KVRAFT_STORAGE: also if the process has no file descriptor left.
/// KVRAFT_INVALID_ARGUMENT, KVRAFT_UNAVAILABLE, KVRAFT_CLOSED.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_new(
    map: Option<&kvraft_map>,
    range: Option<&kvraft_range>,
    options: Option<&kvraft_watch_options>,
    watch: Option<&mut MaybeUninit<Option<Box<kvraft_watch>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(watch, "watch", error, || {
        let map = &inner(map)?.map;
        let beginning = map.watch(range::given(range)?, kvraft_watch_options::of(options));
        let events = futures_executor::block_on(beginning)?;
        let bell = Arc::new(Bell::new()?);
        Ok(kvraft_watch { following: Held::new(Following { events, bell }) })
    })
}

/// Waits for the next event.
///
/// timeout_ms: how long at most; 0 looks and does not wait. No event is lost when the time is over.
/// event: where it goes; free it with kvraft_watch_event_free.
///
/// KVRAFT_NOT_FOUND: there was none within that time.
/// KVRAFT_COMPACTED: changes were missed, since this was too slow, and resync was not asked for;
/// kvraft_error_revision has the oldest revision that is held.
/// KVRAFT_CLOSED: the map was closed, or the watch has ended with an error before.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_next(
    watch: Option<&mut kvraft_watch>,
    timeout_ms: u32,
    event: Option<&mut MaybeUninit<Option<Box<kvraft_watch_event>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(event, "event", error, || {
        let following = boundary::required(watch, "watch")?.following.get_mut()?;
        let event = following.next_within(Duration::from_millis(timeout_ms.into()))?;
        Ok(event.map(|event| Some(Box::new(event.into()))))
    })
}

/// Returns a file descriptor for poll, epoll, select and event loops: it is readable whenever there
/// may be an event, or the end of the watch. Then call kvraft_watch_next with a timeout of 0 until it
/// returns KVRAFT_NOT_FOUND, which makes it unreadable. It is readable at first.
///
/// It belongs to the watch and is closed with it: do not read, write or close it. -1 if watch is
/// NULL, or after a fork.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_fd(watch: Option<&kvraft_watch>) -> c_int {
    let descriptor =
        boundary::ask(watch, |watch| watch.following.get().ok().map(|it| it.bell.descriptor()));
    descriptor.unwrap_or(-1)
}

/// Ends a watch and frees it. Does nothing if watch is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_watch_free(watch: Option<Box<kvraft_watch>>) {
    boundary::release(|| watch);
}
