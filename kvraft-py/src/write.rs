//! Writing: one key, a range, a transaction.

use kvraft::{Cmp, Compare, Op, Txn, WriteOptions};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::call::Call;
use crate::errors;
use crate::keywords::{Keywords, lease_id, number, octets, write_options};
use crate::map::Map;
use crate::octets::Octets;
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

/// A comparison as Python writes it: `(kind, key, cmp, operand)`.
#[derive(FromPyObject)]
struct CompareRow<'py>(Bound<'py, PyString>, Octets, Bound<'py, PyString>, Bound<'py, PyAny>);

impl CompareRow<'_> {
    fn compare(&self) -> PyResult<Compare> {
        let Self(kind, key, cmp, operand) = self;
        Ok(match kind.to_str()? {
            "revision" => Compare::revision(key, relation(cmp)?, number("revision", operand)?),
            "created" => Compare::created(key, relation(cmp)?, number("created", operand)?),
            "value" => Compare::value(key, relation(cmp)?, octets("value", operand)?),
            "absent" => Compare::absent(key),
            _ => Compare::present(key),
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
    Octets,
    Bound<'py, PyAny>,
    bool,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyAny>>,
);

impl OpRow<'_> {
    fn op(&self) -> PyResult<Op> {
        let Self(kind, key, operand, previous, ttl, lease) = self;
        let mut op = match kind.to_str()? {
            "put" => Op::put(key, octets("value", operand)?),
            "delete" => Op::delete(key),
            "increment" => Op::increment(key, number("delta", operand)?),
            _ => Op::get(key),
        };
        if *previous {
            op = op.want_previous();
        }
        if let Some(ttl) = ttl {
            op = op.ttl(span("ttl", ttl)?);
        }
        lease.iter().try_fold(op, |op, lease| Ok(op.lease(lease_id(lease)?)))
    }
}

/// Answers `(revision, succeeded, results)`.
#[pyfunction]
#[pyo3(signature = (map, compares, then, otherwise, **options))]
fn txn(
    map: &Bound<'_, Map>,
    compares: Vec<CompareRow<'_>>,
    then: Vec<OpRow<'_>>,
    otherwise: Vec<OpRow<'_>>,
    options: Option<Keywords<'_, '_>>,
) -> PyResult<Call> {
    let core = map.get().handle(map.py())?;
    let options: WriteOptions = write_options("txn", options)?;
    let mut txn = Txn::new();
    for compare in compares {
        txn = txn.when(compare.compare()?);
    }
    for op in then {
        txn = txn.then(op.op()?);
    }
    for op in otherwise {
        txn = txn.or_else(op.op()?);
    }
    let done = async move { core.txn_with(txn, options).await };
    Ok(Call::new(done, |py, done| rows::txn(py, &done)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(put, module)?)?;
    module.add_function(wrap_pyfunction!(delete, module)?)?;
    module.add_function(wrap_pyfunction!(increment, module)?)?;
    module.add_function(wrap_pyfunction!(delete_range, module)?)?;
    module.add_function(wrap_pyfunction!(txn, module)?)
}
