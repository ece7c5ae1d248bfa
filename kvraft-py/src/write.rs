//! Writing: one key, a range, a transaction.

use kvraft::{Cmp, Compare, Op, Txn, WriteOptions};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::call::Call;
use crate::errors;
use crate::keywords::{Keywords, flag, lease_id, number, octets, write_options};
use crate::map::Map;
use crate::read::Range;
use crate::rows;
use crate::seconds::span;

/// Answers `(revision, replaced, previous)`.
#[pyfunction]
#[pyo3(signature = (map, key, value, **options))]
fn put(
    map: &Bound<'_, Map>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let (key, value) = (octets("key", key)?, octets("value", value)?);
    let options = write_options("put", options)?;
    let put = async move { core.put_with(key, value, options).await };
    Ok(Call::new(put, |py, put| rows::put(py, &put)))
}

/// Answers `(revision, existed, previous)`.
#[pyfunction]
#[pyo3(signature = (map, key, **options))]
fn delete(
    map: &Bound<'_, Map>,
    key: &Bound<'_, PyAny>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let key = octets("key", key)?;
    let options = write_options("delete", options)?;
    let delete = async move { core.delete_with(key, options).await };
    Ok(Call::new(delete, |py, deleted| rows::deleted(py, &deleted)))
}

/// Answers `(revision, value)`.
#[pyfunction]
#[pyo3(signature = (map, key, delta, **options))]
fn increment(
    map: &Bound<'_, Map>,
    key: &Bound<'_, PyAny>,
    delta: &Bound<'_, PyAny>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let key = octets("key", key)?;
    let delta = number::<i64>("delta", delta)?;
    let options = write_options("increment", options)?;
    let increment = async move { core.increment_with(key, delta, options).await };
    Ok(Call::new(increment, rows::incremented))
}

/// Answers `(revision, deleted)`.
#[pyfunction]
#[pyo3(signature = (map, range, **options))]
fn delete_range(
    map: &Bound<'_, Map>,
    range: Range,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options = write_options("delete_range", options)?;
    let delete = async move { core.delete_range(range.0, options).await };
    Ok(Call::new(delete, |py, gone| {
        Ok((gone.revision, gone.deleted).into_pyobject(py)?.into_any().unbind())
    }))
}

/// A part of a transaction whose bytes are taken, and copied where nobody waits for the GIL.
type Part<T> = Box<dyn FnOnce() -> T + Send>;

/// A comparison as Python writes it: `(kind, key, cmp, operand)`.
#[derive(FromPyObject)]
struct CompareRow<'py>(
    Bound<'py, PyString>,
    Bound<'py, PyAny>,
    Bound<'py, PyString>,
    Bound<'py, PyAny>,
);

impl CompareRow<'_> {
    fn part(&self) -> PyResult<Part<Compare>> {
        let Self(kind, key, cmp, operand) = self;
        let (key, cmp) = (octets("key", key)?, relation(cmp)?);
        Ok(match kind.to_str()? {
            "revision" => {
                let revision = number("revision", operand)?;
                Box::new(move || Compare::revision(key, cmp, revision))
            }
            "created" => {
                let created = number("created", operand)?;
                Box::new(move || Compare::created(key, cmp, created))
            }
            "value" => {
                let value = octets("value", operand)?;
                Box::new(move || Compare::value(key, cmp, value))
            }
            "absent" => Box::new(move || Compare::absent(key)),
            _ => Box::new(move || Compare::present(key)),
        })
    }
}

fn relation(cmp: &Bound<'_, PyString>) -> PyResult<Cmp> {
    Ok(match cmp.to_str()? {
        "==" => Cmp::Equal,
        "!=" => Cmp::NotEqual,
        "<" => Cmp::Less,
        ">" => Cmp::Greater,
        other => {
            let message = format!("cmp is {other:?}; take one of ==, !=, < and >");
            return Err(errors::invalid(cmp.py(), &message));
        }
    })
}

/// An operation as Python writes it: `(kind, key, operand, previous, ttl, lease)`.
#[derive(FromPyObject)]
struct OpRow<'py>(
    Bound<'py, PyString>,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
);

impl OpRow<'_> {
    fn part(&self) -> PyResult<Part<Op>> {
        let Self(kind, key, operand, previous, ttl, lease) = self;
        let key = octets("key", key)?;
        let op: Part<Op> = match kind.to_str()? {
            "put" => {
                let value = octets("value", operand)?;
                Box::new(move || Op::put(key, value))
            }
            "delete" => Box::new(move || Op::delete(key)),
            "increment" => {
                let delta = number("delta", operand)?;
                Box::new(move || Op::increment(key, delta))
            }
            _ => Box::new(move || Op::get(key)),
        };
        let previous = flag("previous", previous)?;
        let ttl = ttl.as_ref().map(|ttl| span("ttl", ttl)).transpose()?;
        let lease = lease.as_ref().map(lease_id).transpose()?;
        Ok(Box::new(move || {
            let op = if previous { op().want_previous() } else { op() };
            let op = ttl.into_iter().fold(op, Op::ttl);
            lease.into_iter().fold(op, Op::lease)
        }))
    }
}

/// Answers `(revision, succeeded, results)`.
#[pyfunction]
#[pyo3(signature = (map, compares, then, otherwise, **options))]
#[expect(clippy::needless_pass_by_value, reason = "arguments are extracted from Python by value")]
fn txn(
    map: &Bound<'_, Map>,
    compares: Vec<CompareRow<'_>>,
    then: Vec<OpRow<'_>>,
    otherwise: Vec<OpRow<'_>>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options: WriteOptions = write_options("txn", options)?;
    let compares = compares.iter().map(CompareRow::part).collect::<PyResult<Vec<_>>>()?;
    let then = then.iter().map(OpRow::part).collect::<PyResult<Vec<_>>>()?;
    let otherwise = otherwise.iter().map(OpRow::part).collect::<PyResult<Vec<_>>>()?;
    let done = async move {
        let txn = compares.into_iter().fold(Txn::new(), |txn, part| txn.when(part()));
        let txn = then.into_iter().fold(txn, |txn, part| txn.then(part()));
        let txn = otherwise.into_iter().fold(txn, |txn, part| txn.or_else(part()));
        core.txn_with(txn, options).await
    };
    Ok(Call::new(done, |py, done| rows::txn(py, &done)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(put, module)?)?;
    module.add_function(wrap_pyfunction!(delete, module)?)?;
    module.add_function(wrap_pyfunction!(increment, module)?)?;
    module.add_function(wrap_pyfunction!(delete_range, module)?)?;
    module.add_function(wrap_pyfunction!(txn, module)?)
}
