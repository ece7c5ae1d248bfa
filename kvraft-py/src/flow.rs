//! `Flow` is what comes bit by bit: the entries of a scan, the events of a watch, the parts of a backup.

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
        let source = Source { items: Some(Abortable::new(items.boxed(), ended)), failure: None };
        let flow = Self { source: Owned::new(Arc::new(Mutex::new(source))), end };
        Ok(Py::new(py, flow)?.into_any())
    }
}

impl Source {
    /// Waits for an item, and takes with it what is there as well.
    async fn some(&mut self) -> kvraft::Result<Vec<Item>> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Some(source) = &mut self.items else { return Ok(Vec::new()) };
        let (mut items, mut bytes) = (Vec::new(), 0);
        let mut next = source.next().await;
        while let Some(Ok(item)) = next {
            bytes += item.bytes;
            items.push(item);
            if items.len() >= ITEMS_AT_ONCE || bytes >= BYTES_AT_ONCE {
                return Ok(items);
            }
            match source.next().now_or_never() {
                Some(more) => next = more,
                None => return Ok(items),
            }
        }
        self.items = None;
        match next {
            Some(Err(failure)) if items.is_empty() => Err(failure),
            ended => {
                self.failure = ended.and_then(Result::err);
                Ok(items)
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

    /// Ends it: who waits for items gets none.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let source = self.source.get(py)?;
        self.end.abort();
        // Who holds it is told by the abortion, and finds the end.
        if let Ok(mut source) = source.try_lock() {
            source.items = None;
        }
        Ok(())
    }
}
