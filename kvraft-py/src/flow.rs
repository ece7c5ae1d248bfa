//! `Flow` is what comes bit by bit: the entries of a scan, the events of a watch, the parts of a backup.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use pyo3::prelude::*;
use pyo3::types::PyList;
use tokio::sync::Mutex;

use crate::call::{Answer, Call};
use crate::owned::Owned;

/// The most items that are given to Python at once: enough that a step of the core costs little
/// beside them, and few enough that nobody waits for the next one.
const ITEMS_AT_ONCE: usize = 256;

/// The most bytes of such items, the last one excepted: what a reader of large values holds twice.
const BYTES_AT_ONCE: usize = 1 << 20;

/// An item, before Python sees it.
struct Item {
    bytes: usize,
    row: Answer,
}

/// How an item of a stream becomes one of a flow.
pub(crate) struct Shape<T> {
    /// How many bytes it has, or about.
    pub(crate) bytes: fn(&T) -> usize,
    pub(crate) row: fn(Python<'_>, &T) -> PyResult<Py<PyAny>>,
}

/// Gives its items in lists, to one caller at a time; an empty list is the end.
#[pyclass(frozen, module = "kvraft._kvraft")]
pub(crate) struct Flow {
    source: Owned<Arc<Mutex<Source>>>,
    end: AbortHandle,
}

struct Source {
    /// `None` once it has ended.
    items: Option<Abortable<BoxStream<'static, kvraft::Result<Item>>>>,
    /// What came along with an item that somebody waited for.
    ready: VecDeque<Item>,
    /// What ended it, if that came while there were items to give first.
    failure: Option<kvraft::Error>,
}

impl Flow {
    /// Makes the flow of a stream, whose items become rows.
    pub(crate) fn of<T: Send + 'static>(
        py: Python<'_>,
        stream: impl Stream<Item = kvraft::Result<T>> + Send + 'static,
        shape: &Shape<T>,
    ) -> PyResult<Py<PyAny>> {
        let Shape { bytes, row } = *shape;
        let items = stream.map(move |item| {
            item.map(|item| Item { bytes: bytes(&item), row: Box::new(move |py| row(py, &item)) })
        });
        let (end, ended) = AbortHandle::new_pair();
        let source = Source {
            items: Some(Abortable::new(items.boxed(), ended)),
            ready: VecDeque::new(),
            failure: None,
        };
        let flow = Self { source: Owned::new(Arc::new(Mutex::new(source))), end };
        Ok(Py::new(py, flow)?.into_any())
    }
}

impl Source {
    /// Waits for an item, and gives it with what is there as well; nothing is the end.
    async fn some(&mut self) -> kvraft::Result<Vec<Item>> {
        self.fill().await?;
        Ok(std::mem::take(&mut self.ready).into())
    }

    /// Waits for an item; `None` is the end.
    async fn next(&mut self) -> kvraft::Result<Option<Item>> {
        self.fill().await?;
        Ok(self.ready.pop_front())
    }

    /// Waits until an item is ready, unless it is the end. Who gives up waiting loses none.
    async fn fill(&mut self) -> kvraft::Result<()> {
        if !self.ready.is_empty() {
            return Ok(());
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Some(source) = &mut self.items else { return Ok(()) };
        let mut bytes = 0;
        let mut next = source.next().await;
        while let Some(Ok(item)) = next {
            bytes += item.bytes;
            self.ready.push_back(item);
            if self.ready.len() >= ITEMS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                return Ok(());
            }
            match source.next().now_or_never() {
                Some(more) => next = more,
                None => return Ok(()),
            }
        }
        self.items = None;
        match next {
            Some(Err(failure)) if self.ready.is_empty() => Err(failure),
            ended => {
                self.failure = ended.and_then(Result::err);
                Ok(())
            }
        }
    }
}

#[pymethods]
impl Flow {
    /// Waits for the next items; none is lost by who gives up waiting.
    fn some(&self, py: Python<'_>) -> PyResult<Call> {
        let source = Arc::clone(self.source.get(py)?);
        let some = async move { source.lock().await.some().await };
        Ok(Call::new(some, |py, items| {
            let list = PyList::empty(py);
            for item in items {
                list.append((item.row)(py)?)?;
            }
            Ok(list.into_any().unbind())
        }))
    }

    /// Waits for the next item; `None` is the end. Of several who wait each gets another one.
    fn next(&self, py: Python<'_>) -> PyResult<Call> {
        let source = Arc::clone(self.source.get(py)?);
        let next = async move { source.lock().await.next().await };
        Ok(Call::new(next, |py, item| item.map_or_else(|| Ok(py.None()), |item| (item.row)(py))))
    }

    /// Ends it: who waits for items gets none.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let source = self.source.get(py)?;
        self.end.abort();
        // Who holds it is told by the abortion, and finds the end.
        if let Ok(mut source) = source.try_lock() {
            source.items = None;
            source.ready.clear();
        }
        Ok(())
    }
}
