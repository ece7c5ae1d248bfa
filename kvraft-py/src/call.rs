//! `Call` is something that was asked of the core: a thread waits for its answer, or a task awaits it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

use crate::bridge::{Bridge, Seat};
use crate::errors;
use crate::owned::Owned;
use crate::seconds::span;
use crate::wait::{poll_detached, wait, wait_within};

/// What the core has answered, before Python sees it.
pub(crate) type Answer = Box<dyn FnOnce(Python<'_>) -> PyResult<Py<PyAny>> + Send>;
type Work = Pin<Box<dyn Future<Output = kvraft::Result<Answer>> + Send>>;

/// One call of the core, which begins when it is first waited for, and is given up when it is
/// dropped. It is answered once.
#[pyclass(module = "kvraft._kvraft")]
pub(crate) struct Call {
    /// Never locked: the mutex only makes the future `Sync`, which Python asks of every object.
    /// `None` once it was answered or given up.
    work: Option<Mutex<Owned<Work>>>,
    /// What Python makes of the answer, in this order.
    then: Vec<Py<PyAny>>,
    /// Where the event loop that awaits it is told that it goes on.
    seat: Option<(Py<Bridge>, Arc<Seat>)>,
}

impl Call {
    /// Makes the call that `future` is; `convert` turns its answer into an object.
    pub(crate) fn new<T: Send + 'static>(
        future: impl Future<Output = kvraft::Result<T>> + Send + 'static,
        convert: impl FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
    ) -> Self {
        let work: Work = Box::pin(async move {
            let answer = future.await?;
            Ok(Box::new(|py: Python<'_>| convert(py, answer)) as Answer)
        });
        Self { work: Some(Mutex::new(Owned::new(work))), then: Vec::new(), seat: None }
    }

    /// Makes a call whose answer says no more than that it was done.
    pub(crate) fn done(future: impl Future<Output = kvraft::Result<()>> + Send + 'static) -> Self {
        Self::new(future, |py, ()| Ok(py.None()))
    }

    fn work(&mut self, py: Python<'_>) -> PyResult<&mut Work> {
        let answered = || PyRuntimeError::new_err("this call has been answered or given up");
        let work = self.work.as_mut().ok_or_else(answered)?;
        work.get_mut().unwrap_or_else(PoisonError::into_inner).get_mut(py)
    }

    fn answered(&mut self, py: Python<'_>, answer: Answer) -> PyResult<Py<PyAny>> {
        let then = std::mem::take(&mut self.then);
        then.iter().try_fold(answer(py)?, |answer, then| then.call1(py, (answer,)))
    }

    fn give_up(&mut self, py: Python<'_>) {
        self.work = None;
        if let Some((bridge, seat)) = self.seat.take() {
            bridge.get().leave(py, &seat);
        }
    }
}

#[pymethods]
impl Call {
    /// Has `then` make something else of the answer; returns this call.
    fn then<'py>(this: Bound<'py, Self>, then: Py<PyAny>) -> Bound<'py, Self> {
        this.borrow_mut().then.push(then);
        this
    }

    /// Waits for the answer, without the GIL.
    pub(crate) fn wait(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let answer = wait(py, self.work(py)?);
        self.work = None;
        self.answered(py, answer?)
    }

    /// Waits for the answer, but no longer than that many seconds: then it is given up.
    fn wait_within(
        &mut self,
        py: Python<'_>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let timeout = span("timeout", timeout)?;
        let answer = wait_within(py, self.work(py)?, timeout);
        self.work = None;
        answer?.map(|answer| self.answered(py, answer)).transpose()
    }

    const fn __await__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    const fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    /// Goes on until there is an answer, which ends the iteration, or gives the future of the event
    /// loop that is done when it is worth to go on.
    fn __next__(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (bridge, seat) = match &self.seat {
            Some((bridge, seat)) => (bridge.clone_ref(py), Arc::clone(seat)),
            None => {
                let bridge = Bridge::of_running_loop(py)?;
                let seat = bridge.get().seat();
                self.seat = Some((bridge.clone_ref(py), Arc::clone(&seat)));
                (bridge, seat)
            }
        };
        seat.listen();
        let waker = Waker::from(Arc::clone(&seat));
        let work = self.work(py)?.as_mut();
        match poll_detached(py, || work.poll(&mut Context::from_waker(&waker))) {
            Ok(Poll::Pending) => bridge.get().wait_at(py, &seat),
            Ok(Poll::Ready(answer)) => {
                self.give_up(py);
                let answer = answer.map_err(|error| errors::raised(py, &error))?;
                let answer = self.answered(py, answer)?;
                Err(PyStopIteration::new_err((answer,)))
            }
            Err(panic) => {
                self.give_up(py);
                Err(panic)
            }
        }
    }

    /// Gives the call up: the task that awaits it was cancelled.
    #[pyo3(signature = (error, value=None, _traceback=None))]
    fn throw(
        &mut self,
        py: Python<'_>,
        error: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        self.give_up(py);
        Err(PyErr::from_value(value.unwrap_or(error)))
    }

    /// Gives the call up.
    fn close(&mut self, py: Python<'_>) {
        self.give_up(py);
    }

    /// A task that is dropped while it waits holds this, which leads to the task.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.then.iter().try_for_each(|then| visit.call(then))?;
        self.seat.iter().try_for_each(|(bridge, _seat)| visit.call(bridge))
    }

    fn __clear__(&mut self) {
        self.then.clear();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.seat.is_some() {
            Python::attach(|py| self.give_up(py));
        }
    }
}
