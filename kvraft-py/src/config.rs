//! The way from keyword arguments to the core's `Config` and `ClientConfig`.

use kvraft::{ClientConfig, Config};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple};

use crate::errors;
use crate::keywords::{self, Keywords, path, wrong};
use crate::octets::Octets;
use crate::seconds::span;

/// Makes the configuration that the arguments of `open` describe; `None` is a setting not given.
pub(crate) fn of_member(data_dir: String, settings: Option<Keywords<'_, '_>>) -> PyResult<Config> {
    let mut config = Config::new(data_dir);
    for (name, value) in settings.into_iter().flatten() {
        let name = known("open", &Config::NAMES, &name)?;
        if !value.is_none() {
            config = with_setting(config, &name, &value)?;
        }
    }
    Ok(config)
}

/// Makes the configuration that the arguments of `connect` describe.
pub(crate) fn of_client(
    endpoints: &Bound<'_, PyAny>,
    settings: Option<Keywords<'_, '_>>,
) -> PyResult<ClientConfig> {
    let addresses = match endpoints.extract::<String>() {
        Ok(text) => text.split(',').map(str::trim).map(str::to_owned).collect(),
        Err(_) => texts("endpoints", endpoints)?,
    };
    let mut config = ClientConfig::new(addresses);
    for (name, value) in settings.into_iter().flatten() {
        let name = known("connect", &ClientConfig::NAMES, &name)?;
        if !value.is_none() {
            set(&mut config, &name, &value)?;
        }
    }
    Ok(config)
}

/// Returns the name of a setting, if there is one of that name.
fn known(verb: &str, names: &[&str], name: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    let name: PyBackedStr = name.extract()?;
    if names.contains(&&*name) {
        return Ok(name);
    }
    Err(PyTypeError::new_err(format!(
        "{verb}() got an unexpected keyword argument '{name}'; the settings are {}",
        names.join(", ")
    )))
}

/// The settings of members only that take a form of Python besides the text of flags.
fn with_setting(mut config: Config, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Config> {
    if !value.is_instance_of::<PyString>() {
        match name {
            "members" => return Ok(config.members(pairs(name, value)?)),
            "labels" => {
                for (key, label) in pairs(name, value)? {
                    config = config.label(key, label);
                }
                return Ok(config);
            }
            "join" => return Ok(config.join(texts(name, value)?)),
            _ => {}
        }
    }
    set(&mut config, name, value)?;
    Ok(config)
}

/// What members and clients are configured by.
trait Settings {
    /// Takes a setting as the text of flags and variables.
    fn text(&mut self, name: &str, value: &str) -> kvraft::Result<()>;

    /// Takes a secret of any bytes.
    fn secret(&mut self, secret: Octets);
}

impl Settings for Config {
    fn text(&mut self, name: &str, value: &str) -> kvraft::Result<()> {
        self.set(name, value)
    }

    fn secret(&mut self, secret: Octets) {
        *self = self.clone().cluster_secret(secret);
    }
}

impl Settings for ClientConfig {
    fn text(&mut self, name: &str, value: &str) -> kvraft::Result<()> {
        self.set(name, value)
    }

    fn secret(&mut self, secret: Octets) {
        *self = self.clone().cluster_secret(secret);
    }
}

/// Takes a setting in a form of Python, or as the text that flags and variables take.
fn set(config: &mut impl Settings, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if value.is_instance_of::<PyString>() {
        return set_text(config, name, value);
    }
    match name {
        "cluster_secret" => set_secrets(config, value),
        "auto_promote" | "insecure" if value.is_instance_of::<PyBool>() => {
            let word = if value.is_truthy()? { "true" } else { "false" };
            config.text(name, word).map_err(|error| errors::raised(value.py(), &error))
        }
        "heartbeat_interval" | "election_timeout" | "request_timeout" | "checkpoint_interval" => {
            let text = format!("{}ns", span(name, value)?.as_nanos());
            config.text(name, &text).map_err(|error| errors::raised(value.py(), &error))
        }
        "max_value_bytes"
        | "storage_limit_bytes"
        | "snapshot_bytes_per_second"
        | "bootstrap_expect"
            if value.is_exact_instance_of::<PyInt>() =>
        {
            set_text(config, name, value.str()?.as_any())
        }
        "tls_ca" | "tls_cert" | "tls_key" | "cluster_secret_file" => {
            let set = config.text(name, &path(name, value)?);
            set.map_err(|error| errors::raised(value.py(), &error))
        }
        "auto_promote" => Err(wrong(name, "a bool", value)),
        "insecure" => Err(wrong(name, "a bool or \"anywhere\"", value)),
        "max_value_bytes"
        | "storage_limit_bytes"
        | "snapshot_bytes_per_second"
        | "bootstrap_expect" => Err(wrong(name, "an int", value)),
        _ => Err(wrong(name, "a str", value)),
    }
}

fn set_text(config: &mut impl Settings, name: &str, text: &Bound<'_, PyAny>) -> PyResult<()> {
    let set = config.text(name, &text.extract::<PyBackedStr>()?);
    set.map_err(|error| errors::raised(text.py(), &error))
}

/// Takes one secret, or a list of them, the signing one first.
fn set_secrets(config: &mut impl Settings, value: &Bound<'_, PyAny>) -> PyResult<()> {
    if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
        return set_secret(config, value);
    }
    for secret in value.try_iter()? {
        let secret = secret?;
        if secret.is_instance_of::<PyString>() {
            set_text(config, "cluster_secret", &secret)?;
        } else {
            set_secret(config, &secret)?;
        }
    }
    Ok(())
}

fn set_secret(config: &mut impl Settings, secret: &Bound<'_, PyAny>) -> PyResult<()> {
    let octets = secret
        .extract::<Octets>()
        .map_err(|_| wrong("cluster_secret", "str, bytes or a list of them", secret))?;
    config.secret(octets);
    Ok(())
}

fn pairs(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let mapping = value.cast::<PyMapping>();
    let mapping = mapping.map_err(|_| wrong(name, "a str or a mapping of str to str", value))?;
    let pair = |item: Bound<'_, PyAny>| {
        let (key, text): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let key = keywords::text(&format!("a key of {name}"), &key)?;
        let text = keywords::text(&format!("{name}[{key:?}]"), &text)?;
        Ok((key, text))
    };
    mapping.items()?.iter().map(pair).collect()
}

/// Takes a list, or another sequence, of texts.
fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let texts = value.cast::<PySequence>();
    let texts = texts.map_err(|_| wrong(name, "a str or a list of str", value))?;
    let text = |(number, text): (usize, PyResult<Bound<'_, PyAny>>)| {
        keywords::text(&format!("{name}[{number}]"), &text?)
    };
    texts.try_iter()?.enumerate().map(text).collect()
}
