//! The way from keyword arguments to the core's `Config`.

use std::path::PathBuf;

use kvraft::{Config, Insecure};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyMapping, PyString};

use crate::errors;
use crate::octets::Octets;
use crate::seconds::span;

/// Makes the configuration that the arguments of `open` describe; `None` is a setting not given.
pub(crate) fn from_keywords(
    data_dir: PathBuf,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<Config> {
    let mut config = Config::new(data_dir);
    for (name, value) in settings.into_iter().flatten() {
        let name: PyBackedStr = name.extract()?;
        if !Config::NAMES.contains(&&*name) {
            return Err(PyTypeError::new_err(format!(
                "open() got an unexpected keyword argument '{name}'; the settings are {}",
                Config::NAMES.join(", ")
            )));
        }
        if !value.is_none() {
            config = with_setting(config, &name, &value)?;
        }
    }
    Ok(config)
}

/// Every setting takes the text that flags and variables take; some take a Python form besides.
fn with_setting(mut config: Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if value.is_instance_of::<PyString>() {
        return with_text(config, name, value);
    }
    match name {
        "members" => Ok(config.members(pairs(name, value)?)),
        "labels" => {
            for (key, label) in pairs(name, value)? {
                config = config.label(key, label);
            }
            Ok(config)
        }
        "join" => {
            let addresses = value.extract::<Vec<String>>();
            Ok(config.join(addresses.map_err(|_| wrong(name, "str or a list of str", value))?))
        }
        "auto_promote" if value.is_instance_of::<PyBool>() => {
            Ok(config.auto_promote(value.extract()?))
        }
        "cluster_secret" => with_secrets(config, value),
        "insecure" if value.is_instance_of::<PyBool>() => {
            let insecure = if value.extract()? { Insecure::Loopback } else { Insecure::No };
            Ok(config.insecure(insecure))
        }
        "heartbeat_interval" => Ok(config.heartbeat_interval(span(name, value)?)),
        "election_timeout" => Ok(config.election_timeout(span(name, value)?)),
        "request_timeout" => Ok(config.request_timeout(span(name, value)?)),
        "checkpoint_interval" => Ok(config.checkpoint_interval(span(name, value)?)),
        "max_value_bytes"
        | "storage_limit_bytes"
        | "snapshot_bytes_per_second"
        | "bootstrap_expect"
            if value.is_exact_instance_of::<PyInt>() =>
        {
            with_text(config, name, value.str()?.as_any())
        }
        "tls_ca" | "tls_cert" | "tls_key" | "cluster_secret_file" => {
            let path = value.py().import("os")?.call_method1("fsdecode", (value,));
            with_text(config, name, &path.map_err(|_| wrong(name, "a path", value))?)
        }
        _ => Err(wrong(name, "str", value)),
    }
}

fn with_text(mut config: Config, name: &str, text: &Bound<'_, PyAny>) -> PyResult<Config> {
    let set = config.set(name, &text.extract::<PyBackedStr>()?);
    set.map_err(|error| errors::raised(text.py(), &error))?;
    Ok(config)
}

/// Takes one secret, or a list of them, the signing one first.
fn with_secrets(mut config: Config, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if let Ok(secrets) = value.cast::<PyList>() {
        for secret in secrets {
            config = if secret.is_instance_of::<PyString>() {
                with_text(config, "cluster_secret", &secret)?
            } else {
                with_secret(config, &secret)?
            };
        }
        return Ok(config);
    }
    with_secret(config, value)
}

fn with_secret(config: Config, secret: &Bound<'_, PyAny>) -> PyResult<Config> {
    let octets = secret
        .extract::<Octets>()
        .map_err(|_| wrong("cluster_secret", "str, bytes or a list of them", secret))?;
    Ok(config.cluster_secret(octets))
}

fn pairs(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let wrong = |_| wrong(name, "str or a mapping of str to str", value);
    let items = value.cast::<PyMapping>().map_err(|error| wrong(error.into()))?.items()?;
    items.extract().map_err(wrong)
}

fn wrong(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    let found = value.get_type().name().map_or_else(|_| String::new(), |found| found.to_string());
    PyTypeError::new_err(format!("{name} takes {wanted}, not {found}"))
}
