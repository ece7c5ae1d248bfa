//! Watches: the flow of what happens to the keys of a range.

use kvraft::{WatchEvent, WatchOptions};
use pyo3::prelude::*;

use crate::call::Call;
use crate::flow::{Flow, Shape};
use crate::keywords::{flag, number};
use crate::map::Map;
use crate::read::Range;
use crate::rows;

const EVENTS: Shape<WatchEvent> = Shape { bytes: bytes_of, row: rows::event };

/// Watches the keys of a range, from a revision on or from now.
#[pyfunction]
fn watch(
    map: &Bound<'_, Map>,
    range: Range,
    from_revision: Option<&Bound<'_, PyAny>>,
    previous: &Bound<'_, PyAny>,
    resync: &Bound<'_, PyAny>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let mut options = WatchOptions::new();
    if let Some(revision) = from_revision {
        options = options.from(number("from_revision", revision)?);
    }
    if flag("previous", previous)? {
        options = options.previous();
    }
    if flag("resync", resync)? {
        options = options.resync();
    }
    let watch = async move { core.watch(range.0, options).await };
    Ok(Call::new(watch, |py, watch| Flow::of(py, watch, &EVENTS)))
}

fn bytes_of(event: &WatchEvent) -> usize {
    let entry = |entry: &kvraft::Entry| entry.key.len() + entry.value.len();
    match event {
        WatchEvent::Changes { changes, .. } => changes
            .iter()
            .flat_map(|change| change.entry.iter().chain(&change.previous))
            .map(entry)
            .sum(),
        WatchEvent::SnapshotEntries(entries) => entries.iter().map(entry).sum(),
        // The last is one that this version of the face does not know.
        WatchEvent::SnapshotBegin { .. } | WatchEvent::SnapshotEnd { .. } | _ => 0,
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(watch, module)?)
}
