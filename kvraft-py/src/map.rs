//! `ReplicatedMap` is the map that Python programs hold: each verb is one call of the core.

use std::path::PathBuf;

use kvraft::{Consistency, KeyRange, ReadOptions, ScanOptions, WriteOptions};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::entry::Entry;
use crate::octets::Octets;
use crate::owned::Owned;
use crate::scan::Scan;
use crate::seconds::Seconds;
use crate::wait::wait;
use crate::{config, errors, exit, status};

/// Opens the node whose data lies in `data_dir`, and starts it.
#[pyfunction]
#[pyo3(
    signature = (data_dir, **settings),
    text_signature = "(data_dir, *, name=None, listen=None, advertise=None, advertise_http=None, \
        labels=None, members=None, join=None, auto_promote=None, bootstrap_expect=None, \
        discover_dns=None, cluster_secret=None, cluster_secret_file=None, tls_ca=None, tls_cert=None, tls_key=None, insecure=None, consistency=None, heartbeat_interval=None, \
        election_timeout=None, request_timeout=None, checkpoint_interval=None, \
        max_value_bytes=None, storage_limit_bytes=None, snapshot_bytes_per_second=None)"
)]
pub(crate) fn open<'py>(
    py: Python<'py>,
    data_dir: PathBuf,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, ReplicatedMap>> {
    let config = config::from_keywords(data_dir, settings)?;
    let core = wait(py, kvraft::ReplicatedMap::open(config))?;
    let map = Bound::new(py, ReplicatedMap { core: Owned::new(core) })?;
    exit::remember(&map)?;
    Ok(map)
}

/// An ordered map from bytes to bytes that lives in this process and on the other members.
#[pyclass(frozen, weakref, mapping, module = "kvraft")]
pub(crate) struct ReplicatedMap {
    core: Owned<kvraft::ReplicatedMap>,
}

impl ReplicatedMap {
    fn read(
        &self,
        py: Python<'_>,
        key: &Octets,
        options: ReadOptions,
    ) -> PyResult<Option<kvraft::Entry>> {
        wait(py, self.core.get(py)?.get_with(key, options))
    }
}

#[pymethods]
#[expect(clippy::too_many_arguments, reason = "a parameter for each keyword of Python")]
#[expect(clippy::needless_pass_by_value, reason = "arguments are extracted from Python by value")]
impl ReplicatedMap {
    /// Reads the value of a key, or returns the default if it has none.
    #[pyo3(signature = (key, default=None, *, consistency=None, min_revision=0, timeout=None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        key: Octets,
        default: Option<Bound<'py, PyAny>>,
        consistency: Option<&str>,
        min_revision: u64,
        timeout: Option<Seconds>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let options = read_options(py, consistency, min_revision, timeout)?;
        let entry = self.read(py, &key, options)?;
        Ok(entry.map(|entry| PyBytes::new(py, &entry.value).into_any()).or(default))
    }

    /// Reads the entry of a key with its revisions, or returns None.
    #[pyo3(signature = (key, *, consistency=None, min_revision=0, timeout=None))]
    fn get_entry(
        &self,
        py: Python<'_>,
        key: Octets,
        consistency: Option<&str>,
        min_revision: u64,
        timeout: Option<Seconds>,
    ) -> PyResult<Option<Entry>> {
        let options = read_options(py, consistency, min_revision, timeout)?;
        Ok(self.read(py, &key, options)?.map(|entry| Entry::new(py, &entry)))
    }

    /// Gives a key a value and returns the revision of the change.
    #[pyo3(signature = (key, value, *, timeout=None))]
    fn put(
        &self,
        py: Python<'_>,
        key: Octets,
        value: Octets,
        timeout: Option<Seconds>,
    ) -> PyResult<u64> {
        let put = self.core.get(py)?.put_with(&key, &value, write_options(timeout));
        Ok(wait(py, put)?.revision)
    }

    /// Takes a key and its value away and returns whether there was one.
    #[pyo3(signature = (key, *, timeout=None))]
    fn delete(&self, py: Python<'_>, key: Octets, timeout: Option<Seconds>) -> PyResult<bool> {
        let deleted = self.core.get(py)?.delete_with(&key, write_options(timeout));
        Ok(wait(py, deleted)?.existed)
    }

    /// Reads every entry in a range, in order, as it stands at one moment.
    #[pyo3(signature = (prefix=None, *, start=None, end=None, limit=None, reverse=false,
        consistency=None, min_revision=0, timeout=None))]
    fn scan(
        &self,
        py: Python<'_>,
        prefix: Option<Octets>,
        start: Option<Octets>,
        end: Option<Octets>,
        limit: Option<usize>,
        reverse: bool,
        consistency: Option<&str>,
        min_revision: u64,
        timeout: Option<Seconds>,
    ) -> PyResult<Scan> {
        let mut range = prefix.map_or_else(KeyRange::all, KeyRange::prefix);
        range = start.into_iter().fold(range, KeyRange::from);
        range = end.into_iter().fold(range, KeyRange::until);
        let mut options =
            ScanOptions::new().read(read_options(py, consistency, min_revision, timeout)?);
        options = limit.into_iter().fold(options, ScanOptions::limit);
        if reverse {
            options = options.reverse();
        }
        wait(py, self.core.get(py)?.scan(range, options)).map(Scan::new)
    }

    /// Says what this node knows of itself and its cluster, without asking anyone.
    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.core.get(py)?;
        let status = py.detach(|| core.status());
        status::to_dict(py, &status)
    }

    /// Waits until this node has recovered and knows a leader.
    fn wait_ready(&self, py: Python<'_>, timeout: Seconds) -> PyResult<()> {
        wait(py, self.core.get(py)?.wait_ready(timeout.0))
    }

    /// Stops the node: hands leadership over, closes files and socket.
    pub(crate) fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.core.is_forked() {
            return Ok(()); // The map is the parent's to close.
        }
        wait(py, self.core.get(py)?.close())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: Octets) -> PyResult<Bound<'py, PyBytes>> {
        let entry = self.read(py, &key, ReadOptions::new())?.ok_or_else(|| missing(py, &key))?;
        Ok(PyBytes::new(py, &entry.value))
    }

    fn __setitem__(&self, py: Python<'_>, key: Octets, value: Octets) -> PyResult<()> {
        self.put(py, key, value, None).map(drop)
    }

    fn __delitem__(&self, py: Python<'_>, key: Octets) -> PyResult<()> {
        let deleted = wait(py, self.core.get(py)?.delete_with(&key, WriteOptions::new()))?;
        if deleted.existed { Ok(()) } else { Err(missing(py, &key)) }
    }

    fn __contains__(&self, py: Python<'_>, key: Octets) -> PyResult<bool> {
        Ok(self.read(py, &key, ReadOptions::new())?.is_some())
    }

    const fn __enter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, PyAny>) -> PyResult<()> {
        self.close(py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.core.get(py) {
            Ok(core) => {
                let status = py.detach(|| core.status());
                format!("<kvraft.ReplicatedMap {:?}, {}>", status.name, status.role.name())
            }
            Err(_) => "<kvraft.ReplicatedMap of another process>".to_owned(),
        }
    }
}

fn read_options(
    py: Python<'_>,
    consistency: Option<&str>,
    min_revision: u64,
    timeout: Option<Seconds>,
) -> PyResult<ReadOptions> {
    let mut options = ReadOptions::new().min_revision(min_revision);
    if let Some(word) = consistency {
        let consistency =
            word.parse::<Consistency>().map_err(|error| errors::raised(py, &error))?;
        options = options.consistency(consistency);
    }
    Ok(timeout.into_iter().fold(options, |options, timeout| options.timeout(timeout.0)))
}

fn write_options(timeout: Option<Seconds>) -> WriteOptions {
    timeout.into_iter().fold(WriteOptions::new(), |options, timeout| options.timeout(timeout.0))
}

fn missing(py: Python<'_>, key: &Octets) -> PyErr {
    PyKeyError::new_err(PyBytes::new(py, key.as_ref()).unbind())
}
