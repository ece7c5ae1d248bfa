//! `Bridge` tells an event loop of asyncio which of its calls can go on: once for all that can.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyIterator;
use pyo3::{PyTraverseError, PyVisit};

use crate::bell::Bell;

/// The calls that one event loop awaits. The loop watches its descriptor; whatever thread makes a
/// call go on rings that, without the GIL, and only if nobody did since the loop has looked.
#[pyclass(frozen, weakref, module = "kvraft._kvraft")]
pub(crate) struct Bridge {
    /// Makes the futures of the event loop.
    create_future: Py<PyAny>,
    due: Arc<Due>,
    next_seat: AtomicU64,
    /// What the tasks of the loop wait for, by the number of the seat. Only the loop's thread is
    /// here, but an object has to be `Sync`.
    waiting: Mutex<HashMap<u64, Py<PyAny>>>,
}

/// The seats that the loop has not looked at yet, each at most once.
struct Due {
    bell: Bell,
    seats: Mutex<Vec<Arc<Seat>>>,
}

/// The place of one call.
pub(crate) struct Seat {
    number: u64,
    due: Arc<Due>,
    /// Whether it is due already.
    rung: AtomicBool,
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let due = Arc::clone(&self.due);
        let mut seats = lock(&due.seats);
        seats.push(self);
        if seats.len() == 1 {
            due.bell.ring();
        }
    }
}

impl Seat {
    /// Has the next wake count again; who calls this looks at the call afterwards.
    pub(crate) fn listen(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Bridge {
    /// Returns the bridge of the event loop that runs in this thread.
    pub(crate) fn of_running_loop(py: Python<'_>) -> PyResult<Py<Self>> {
        static FIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let bridge = FIND.import(py, "kvraft._bridges", "of_running_loop")?.call0()?;
        Ok(bridge.cast_into::<Self>()?.unbind())
    }

    pub(crate) fn seat(&self) -> Arc<Seat> {
        let number = self.next_seat.fetch_add(1, Ordering::Relaxed);
        Arc::new(Seat { number, due: Arc::clone(&self.due), rung: AtomicBool::new(false) })
    }

    /// Returns what a task of the loop is to wait for.
    pub(crate) fn wait_at(&self, py: Python<'_>, seat: &Seat) -> PyResult<Py<PyAny>> {
        let future = self.create_future.bind(py).call0()?;
        let before = lock(&self.waiting).insert(seat.number, future.clone().unbind());
        drop(before);
        // Its first item is itself, marked as a future that is awaited.
        let mut awaited = PyIterator::from_object(&future)?;
        awaited.next().transpose().map(|item| item.map_or_else(|| py.None(), Bound::unbind))
    }

    /// Forgets a call.
    pub(crate) fn leave(&self, _py: Python<'_>, seat: &Seat) {
        let waiting = lock(&self.waiting).remove(&seat.number);
        drop(waiting);
    }
}

#[pymethods]
impl Bridge {
    #[new]
    fn new(create_future: Py<PyAny>) -> PyResult<Self> {
        let due = Due { bell: Bell::new()?, seats: Mutex::default() };
        Ok(Self {
            create_future,
            due: Arc::new(due),
            next_seat: AtomicU64::new(0),
            waiting: Mutex::default(),
        })
    }

    /// The descriptor that the event loop watches.
    fn fileno(&self) -> i32 {
        self.due.bell.descriptor()
    }

    /// Lets every task go on whose call can: what the loop calls when its descriptor is readable.
    fn deliver(&self, py: Python<'_>) -> PyResult<()> {
        self.due.bell.hush();
        let seats = std::mem::take(&mut *lock(&self.due.seats));
        for seat in seats {
            let waiting = lock(&self.waiting).remove(&seat.number);
            let Some(future) = waiting else { continue };
            // A task that was cancelled meanwhile has its future cancelled.
            if !future.call_method0(py, "done")?.is_truthy(py)? {
                future.call_method1(py, "set_result", (py.None(),))?;
            }
        }
        Ok(())
    }

    /// A loop that is dropped holds this, which holds futures of the loop: the collector has to know.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.create_future)?;
        // Nobody holds it while Python runs code, but no collector may wait for a lock.
        let waiting = self.waiting.try_lock();
        waiting.iter().flat_map(|waiting| waiting.values()).try_for_each(|one| visit.call(one))
    }

    fn __clear__(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        drop(waiting);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
