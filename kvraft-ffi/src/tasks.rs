//! `Tasks` is the thread on which calls go on whose callers do something else.
//!
//! It is nobody's executor, so that a callback may make calls that wait; meanwhile the calls that are
//! under way go on inside the node, and only their callbacks wait their turn.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use crate::error::kvraft_error;
use crate::signals;
use crate::status::kvraft_status;

/// How many calls of one map may be under way: as many as a node takes at once.
const MAX_TASKS: usize = 4096;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes work, and has it done on its thread; what was taken is done even if this is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    ready: SyncSender<Arc<Task>>,
    under_way: Arc<AtomicUsize>,
}

impl Tasks {
    pub(crate) fn start() -> Result<Self, kvraft_error> {
        // Each task is in the queue at most once, and so are those that were woken in their last step
        // and left their place to another one since: at most as many.
        let (ready, tasks) = sync_channel(2 * MAX_TASKS + 1);
        let thread = thread::Builder::new().name("kvraft-call".to_owned());
        let begun = signals::kept_out(|| thread.spawn(move || run(&tasks)));
        begun.map_err(|error| signals::no_thread(&error))?;
        Ok(Self { ready, under_way: Arc::default() })
    }

    /// Takes a place for work, unless there is too much under way.
    pub(crate) fn place(&self) -> Result<Place, kvraft_error> {
        let place = Place { tasks: self.clone() };
        if self.under_way.fetch_add(1, Ordering::Relaxed) < MAX_TASKS {
            return Ok(place);
        }
        let text =
            format!("{MAX_TASKS} calls with a callback are under way; wait for some of them");
        Err(kvraft_error::new(kvraft_status::KVRAFT_OVERLOADED, &text))
    }
}

/// One of the calls that may be under way.
#[derive(Debug)]
pub(crate) struct Place {
    tasks: Tasks,
}

impl Place {
    pub(crate) fn begin(self, work: impl Future<Output = ()> + Send + 'static) {
        let ready = self.tasks.ready.clone();
        let work: Work = Box::pin(async move {
            work.await;
            drop(self);
        });
        let (queued, over) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Task { work: Mutex::new(Some(work)), queued, over, ready }).wake();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tasks.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Work under way.
struct Task {
    /// There until it is done.
    work: Mutex<Option<Work>>,
    queued: AtomicBool,
    over: AtomicBool,
    ready: SyncSender<Arc<Self>>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("queued", &self.queued).finish_non_exhaustive()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.over.load(Ordering::Acquire) && !self.queued.swap(true, Ordering::AcqRel) {
            let ready = self.ready.clone();
            // There is room for every task; without the thread its work ends here, unfinished.
            drop(ready.try_send(self));
        }
    }
}

/// Goes on with whatever is ready, until all is done and nobody can bring more.
fn run(ready: &Receiver<Arc<Task>>) {
    while let Ok(task) = ready.recv() {
        task.queued.store(false, Ordering::Release);
        step(&task);
    }
}

fn step(task: &Arc<Task>) {
    let waker = Waker::from(Arc::clone(task));
    // Only this thread does; another one at most drops the task.
    let mut work = task.work.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(doing) = work.as_mut() else { return };
    let mut context = Context::from_waker(&waker);
    // What a panic leaves behind is dropped below, and says so to its caller.
    let polled = panic::catch_unwind(AssertUnwindSafe(|| doing.as_mut().poll(&mut context)));
    if !matches!(polled, Ok(Poll::Pending)) {
        task.over.store(true, Ordering::Release);
        *work = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn work_is_done_on_its_thread_also_if_nobody_can_bring_more() {
        let tasks = Tasks::start().expect("a thread");
        let (done, all) = mpsc::channel();
        for number in 0..100 {
            let done = done.clone();
            let work = async move {
                done.send((number, thread::current().name().map(str::to_owned))).expect("heard");
            };
            tasks.place().expect("room").begin(work);
        }
        drop(tasks);
        for number in 0..100 {
            let said = all.recv_timeout(PATIENCE).expect("done");
            assert_eq!(said, (number, Some("kvraft-call".to_owned())));
        }
    }

    #[test]
    fn work_beyond_the_bound_is_refused_until_some_is_done() {
        let tasks = Tasks::start().expect("a thread");
        let (release, held) = mpsc::channel::<()>();
        let (done, all) = mpsc::channel();
        let last = done.clone();
        let begin = |work: Work| tasks.place().map(|place| place.begin(work));
        begin(Box::pin(async move {
            held.recv_timeout(PATIENCE).ok();
        }))
        .expect("begun");
        for _ in 1..MAX_TASKS {
            let done = done.clone();
            begin(Box::pin(async move { done.send(()).expect("heard") })).expect("begun");
        }
        let refused = begin(Box::pin(async {})).expect_err("refused");
        assert_eq!(refused.status(), kvraft_status::KVRAFT_OVERLOADED);
        drop(release);
        for _ in 1..MAX_TASKS {
            all.recv_timeout(PATIENCE).expect("done");
        }
        begin(Box::pin(async move { last.send(()).expect("heard") })).expect("there is room");
        all.recv_timeout(PATIENCE).expect("done");
    }

    #[test]
    fn a_panic_ends_the_work_and_not_the_thread() {
        let tasks = Tasks::start().expect("a thread");
        let (done, all) = mpsc::channel();
        tasks.place().expect("room").begin(async { panic!("shelf 7 fell down") });
        tasks.place().expect("room").begin(async move { done.send(()).expect("heard") });
        all.recv_timeout(PATIENCE).expect("done");
    }
}
