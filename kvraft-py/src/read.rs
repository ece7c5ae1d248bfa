//! Reading: one key, a page, a scan, a count.

use kvraft::{Entry, KeyRange, ScanOptions};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::call::Call;
use crate::flow::{Flow, Shape as FlowShape};
use crate::keywords::{Keywords, flag, number, octets, read_options};
use crate::map::Map;
use crate::octets::{Octets, to_py};
use crate::rows;
use crate::wait::wait;

/// Keys from here to there, as Python writes it: `(key, prefix, start, after, end)`.
#[derive(FromPyObject)]
struct Span<'py>(Given<'py>, Given<'py>, Given<'py>, Given<'py>, Given<'py>);

/// An argument that may be `None`, which is one that was not given.
type Given<'py> = Option<Bound<'py, PyAny>>;

/// The range of a scan, a count, a watch or a deletion.
pub(crate) struct Range(pub(crate) KeyRange);

impl<'a, 'py> FromPyObject<'a, 'py> for Range {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let Span(key, prefix, start, after, end) = object.extract()?;
        let taken = |name: &str, given: Given<'py>| -> PyResult<Option<Octets>> {
            given.map(|given| octets(name, &given)).transpose()
        };
        let range = match (taken("key", key)?, taken("prefix", prefix)?) {
            (Some(key), _) => KeyRange::key(key),
            (None, Some(prefix)) => KeyRange::prefix(prefix),
            (None, None) => KeyRange::all(),
        };
        let range = taken("start", start)?.into_iter().fold(range, KeyRange::from);
        let range = taken("after", after)?.into_iter().fold(range, KeyRange::after);
        Ok(Self(taken("end", end)?.into_iter().fold(range, KeyRange::until)))
    }
}

const ENTRIES: FlowShape<Entry> =
    FlowShape { bytes: |entry| entry.key.len() + entry.value.len(), row: rows::entry };

/// What a scan or a page takes beside the options of a read: `(limit, reverse, keys_only)`.
#[derive(FromPyObject)]
struct Shape<'py>(Given<'py>, Bound<'py, PyAny>, Bound<'py, PyAny>);

fn scan_options(
    verb: &str,
    shape: &Shape<'_>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<ScanOptions> {
    let Shape(limit, reverse, keys_only) = shape;
    let mut scan = ScanOptions::new().read(read_options(verb, options)?);
    if let Some(limit) = limit {
        scan = scan.limit(number("limit", limit)?);
    }
    if flag("reverse", reverse)? {
        scan = scan.reverse();
    }
    if flag("keys_only", keys_only)? {
        scan = scan.keys_only();
    }
    Ok(scan)
}

/// Reads the value of a key, and waits for it: the short way of the most frequent call.
#[pyfunction]
#[pyo3(signature = (map, key, **options))]
fn value<'py>(
    py: Python<'py>,
    map: &Bound<'py, Map>,
    key: &Bound<'py, PyAny>,
    options: Option<Keywords<'_, 'py>>,
) -> PyResult<Option<Bound<'py, PyBytes>>> {
    let (key, options) = (octets("key", key)?, read_options("get", options)?);
    let entry = wait(py, map.get().core(py)?.get_with(&key, options))?;
    entry.map(|entry| to_py(py, &entry.value)).transpose()
}

#[pyfunction]
#[pyo3(signature = (map, key, **options))]
fn get(
    map: &Bound<'_, Map>,
    key: &Bound<'_, PyAny>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let (key, options) = (octets("key", key)?, read_options("get", options)?);
    let read = async move { core.get_with(key, options).await };
    Ok(Call::new(read, |py, found| rows::maybe_entry(py, found.as_ref())))
}

#[pyfunction]
#[pyo3(signature = (map, range, **options))]
fn count(map: &Bound<'_, Map>, range: Range, options: Option<Keywords<'_, '_>>) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options = read_options("count", options)?;
    let count = async move { core.count(range.0, options).await };
    Ok(Call::new(count, |py, count| Ok(count.into_pyobject(py)?.into_any().unbind())))
}

/// Answers `(entries, more, revision)`.
#[pyfunction]
#[pyo3(signature = (map, range, shape, **options))]
#[expect(clippy::needless_pass_by_value, reason = "arguments are extracted from Python by value")]
fn page(
    map: &Bound<'_, Map>,
    range: Range,
    shape: Shape<'_>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options = scan_options("page", &shape, options)?;
    Ok(Call::new(async move { core.page(range.0, options).await }, |py, page| {
        let row = (rows::entries(py, &page.entries)?, page.more, page.revision);
        Ok(row.into_pyobject(py)?.into_any().unbind())
    }))
}

#[pyfunction]
#[pyo3(signature = (map, range, shape, **options))]
#[expect(clippy::needless_pass_by_value, reason = "arguments are extracted from Python by value")]
fn scan(
    map: &Bound<'_, Map>,
    range: Range,
    shape: Shape<'_>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options = scan_options("scan", &shape, options)?;
    let scan = async move { core.scan(range.0, options).await };
    Ok(Call::new(scan, |py, scan| Flow::of(py, scan, &ENTRIES)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(value, module)?)?;
    module.add_function(wrap_pyfunction!(get, module)?)?;
    module.add_function(wrap_pyfunction!(count, module)?)?;
    module.add_function(wrap_pyfunction!(page, module)?)?;
    module.add_function(wrap_pyfunction!(scan, module)?)
}
