//! The status of a node as a dictionary.

use kvraft::{MemberStatus, Status};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::errors;

pub(crate) fn to_dict<'py>(py: Python<'py>, status: &Status) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &status.name)?;
    dict.set_item("node_id", &status.node_id)?;
    dict.set_item("address", &status.address)?;
    dict.set_item("cluster_id", &status.cluster_id)?;
    dict.set_item("leader", &status.leader)?;
    dict.set_item("leader_http", &status.leader_http)?;
    dict.set_item("is_leader", status.is_leader())?;
    dict.set_item("role", status.role.name())?;
    dict.set_item("term", status.term)?;
    dict.set_item("first_log", status.first_log)?;
    dict.set_item("last_log", status.last_log)?;
    dict.set_item("committed", status.committed)?;
    dict.set_item("applied", status.applied)?;
    dict.set_item("revision", status.revision)?;
    dict.set_item("keys", status.keys)?;
    dict.set_item("bytes", status.bytes)?;
    dict.set_item("state_hash", &status.state_hash)?;
    let members = PyList::empty(py);
    for member in &status.members {
        members.append(member_to_dict(py, member)?)?;
    }
    dict.set_item("members", members)?;
    dict.set_item("ready", status.ready)?;
    dict.set_item("disk_full", status.disk_full)?;
    dict.set_item("failure", status.failure.as_ref().map(|error| errors::raised(py, error)))?;
    dict.set_item("divergence", status.divergence.as_deref())?;
    dict.set_item("format_level", status.format_level)?;
    dict.set_item("version", status.version)?;
    Ok(dict)
}

fn member_to_dict<'py>(py: Python<'py>, member: &MemberStatus) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", &member.name)?;
    dict.set_item("node_id", &member.node_id)?;
    dict.set_item("address", &member.address)?;
    dict.set_item("http", &member.http)?;
    dict.set_item("labels", &member.labels)?;
    dict.set_item("voter", member.voter)?;
    dict.set_item("matched", member.matched)?;
    let link = member.link.map(|link| {
        let dict = PyDict::new(py);
        dict.set_item("round_trip_micros", link.round_trip_micros)?;
        dict.set_item("packets_sent", link.packets_sent)?;
        dict.set_item("packets_lost", link.packets_lost)?;
        PyResult::Ok(dict)
    });
    dict.set_item("link", link.transpose()?)?;
    Ok(dict)
}
