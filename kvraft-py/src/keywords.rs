//! Keywords: the options of a verb, taken one by one from what Python was given.

use kvraft::{Consistency, LeaseId, ReadOptions, WriteOptions};
use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::errors;
use crate::octets::{Name, Octets};
use crate::seconds::span;

/// What was given by keyword beyond the named parameters.
pub(crate) type Keywords<'a, 'py> = &'a Bound<'py, PyDict>;

/// The options of a read; `None` is one that was not given.
pub(crate) fn read_options(
    verb: &str,
    keywords: Option<Keywords<'_, '_>>,
) -> PyResult<ReadOptions> {
    let mut options = ReadOptions::new();
    for (name, value) in keywords.into_iter().flatten() {
        let name = name.cast::<PyString>()?;
        let name = name.to_str()?;
        if !value.is_none() {
            options = match name {
                "consistency" => options.consistency(consistency(&value)?),
                "min_revision" => options.min_revision(number(name, &value)?),
                "timeout" => options.timeout(span(name, &value)?),
                _ => return Err(unexpected(verb, name)),
            };
        }
    }
    Ok(options)
}

/// The options of a write; `None`, and `False` for a flag, is one that was not given.
pub(crate) fn write_options(
    verb: &str,
    keywords: Option<Keywords<'_, '_>>,
) -> PyResult<WriteOptions> {
    let mut options = WriteOptions::new();
    let mut conditions = 0;
    for (name, value) in keywords.into_iter().flatten() {
        let name: PyBackedStr = name.extract()?;
        if !value.is_none() && !value.is(PyBool::new(value.py(), false)) {
            conditions += u32::from(name.starts_with("if_"));
            options = with_option(options, verb, &name, &value)?;
        }
    }
    match keywords {
        Some(keywords) if conditions > 1 => {
            Err(errors::invalid(keywords.py(), "a write has one condition; a transaction has many"))
        }
        _ => Ok(options),
    }
}

fn with_option(
    options: WriteOptions,
    verb: &str,
    name: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<WriteOptions> {
    Ok(match name {
        "if_revision" => options.if_revision(number(name, value)?),
        "if_absent" => flagged(options, name, value, WriteOptions::if_absent)?,
        "if_present" => flagged(options, name, value, WriteOptions::if_present)?,
        "if_value" => options.if_value(octets(name, value)?),
        "previous" => flagged(options, name, value, WriteOptions::want_previous)?,
        "ttl" => options.ttl(span(name, value)?),
        "lease" => options.lease(lease_id(value)?),
        "request_id" => options.request_id(self::name(name, value)?),
        "principal" => options.principal(self::name(name, value)?),
        "timeout" => options.timeout(span(name, value)?),
        _ => return Err(unexpected(verb, name)),
    })
}

fn flagged<T>(options: T, name: &str, value: &Bound<'_, PyAny>, set: fn(T) -> T) -> PyResult<T> {
    Ok(if flag(name, value)? { set(options) } else { options })
}

/// Takes the truth value that the argument `name` has as its value.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    value.cast::<PyBool>().map(|flag| flag.is_true()).map_err(|_| wrong(name, "a bool", value))
}

/// Takes the text that the argument `name` has as its value.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = value.cast::<PyString>().map_err(|_| wrong(name, "a str", value))?;
    Ok(text.to_str()?.to_owned())
}

/// Takes the path that the argument `name` has as its value.
pub(crate) fn path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let path = value.py().import("os")?.call_method1("fsdecode", (value,));
    text(name, &path.map_err(|_| wrong(name, "a path", value))?)
}

/// Takes a consistency by its name.
fn consistency(value: &Bound<'_, PyAny>) -> PyResult<Consistency> {
    let word = value.cast::<PyString>().map_err(|_| wrong("consistency", "a str", value))?;
    word.to_str()?.parse().map_err(|error| errors::raised(value.py(), &error))
}

/// Takes the number that the argument `name` has as its value.
pub(crate) fn number<'py, N>(name: &str, value: &Bound<'py, PyAny>) -> PyResult<N>
where
    N: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
{
    // Whatever says that it is a whole number, such as an integer of numpy.
    if !value.hasattr("__index__")? || value.is_instance_of::<PyBool>() {
        return Err(wrong(name, "an int", value));
    }
    value.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(value.py()) {
            let message = format!("{name} is {value}, which is out of its range");
            return errors::invalid(value.py(), &message);
        }
        error
    })
}

/// Takes the bytes that the argument `name` has as its value.
pub(crate) fn octets(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Octets> {
    value.extract().map_err(|error| named(value.py(), name, &error))
}

/// Takes the name of a lock or of a request, which is the argument `name`.
pub(crate) fn name(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Name> {
    value.extract().map_err(|error| named(value.py(), name, &error))
}

/// Says of which argument an error is, as PyO3 does for the parameters that it knows.
fn named(py: Python<'_>, name: &str, error: &PyErr) -> PyErr {
    PyTypeError::new_err(format!("argument '{name}': {}", error.value(py)))
}

/// Takes the id of a lease.
pub(crate) fn lease_id(value: &Bound<'_, PyAny>) -> PyResult<LeaseId> {
    let text = value.cast::<PyString>().map_err(|_| wrong("lease", "a lease or its id", value))?;
    text.to_str()?.parse().map_err(|error| errors::raised(value.py(), &error))
}

/// The error of a keyword that a verb does not have.
fn unexpected(verb: &str, name: &str) -> PyErr {
    PyTypeError::new_err(format!("{verb}() got an unexpected keyword argument '{name}'"))
}

/// The error of a value of another type than the argument takes.
pub(crate) fn wrong(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| String::new(), |found| found.to_string());
    PyTypeError::new_err(format!("{name} takes {wanted}, not {found}"))
}
