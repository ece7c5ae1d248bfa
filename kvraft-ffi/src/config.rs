//! `kvraft_config` collects the settings of a node before it is opened.

use std::mem::MaybeUninit;

use kvraft::Config;

use crate::boundary::{self, LentText};
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// The settings of a node. Not for several threads at once.
#[derive(Debug)]
pub struct kvraft_config {
    settings: Config,
}

impl kvraft_config {
    pub(crate) fn settings(&self) -> Config {
        self.settings.clone()
    }
}

/// Makes the default settings for a data directory, which kvraft_open creates if needed.
///
/// With nothing else set they are those of a single node without a socket.
///
/// data_dir: the path, in any bytes. Two nodes never share one.
/// config: where the settings go; free them with kvraft_config_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_new(
    data_dir: LentText,
    config: Option<&mut MaybeUninit<Option<Box<kvraft_config>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(config, "config", error, || {
        Ok(kvraft_config { settings: Config::new(data_dir.path("data_dir")?) })
    })
}

/// Sets one setting by its name, as the flags of kvraft-server do: "listen" to "127.0.0.1:7001",
/// "members" to "a=10.0.0.1:7001,b=10.0.0.2:7001,c=10.0.0.3:7001", "request_timeout" to "2s",
/// "max_value_bytes" to "1MiB".
///
/// The last value counts, except for "cluster_secret" and "cluster_secret_file": each adds a
/// secret. Values that only make sense together are checked by kvraft_open.
///
/// config, name, value: texts are UTF-8 and end in a NUL byte; they are copied.
///
/// KVRAFT_INVALID_ARGUMENT: the name is unknown (the message lists all), the value has the wrong
/// form (the message says which is right), or an argument is NULL. The settings are as before.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_set_str(
    config: Option<&mut kvraft_config>,
    name: LentText,
    value: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        Ok(config.settings.set(name.text("name")?, value.text("value")?)?)
    })
}

/// Sets one setting that is a number by its name: a count ("bootstrap_expect"), bytes
/// ("max_value_bytes", "storage_limit_bytes", "snapshot_bytes_per_second"), or milliseconds ("heartbeat_interval",
/// "election_timeout", "request_timeout", "checkpoint_interval").
///
/// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
///
/// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str; also a name whose value is no number.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_set_u64(
    config: Option<&mut kvraft_config>,
    name: LentText,
    value: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        let name = name.text("name")?;
        Ok(config.settings.set(name, &number_as_text(name, value, &Config::NAMES)?)?)
    })
}

/// Sets one setting that is yes or no by its name: "auto_promote", or "insecure".
///
/// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
///
/// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str; also a name whose value is neither.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_set_bool(
    config: Option<&mut kvraft_config>,
    name: LentText,
    value: bool,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        let name = name.text("name")?;
        Ok(config.settings.set(name, bool_as_text(name, value, &Config::NAMES)?)?)
    })
}

/// Frees settings. Maps that were opened with them stay open. Does nothing if config is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_free(config: Option<Box<kvraft_config>>) {
    boundary::release(|| config);
}

/// Returns a number as the text form of a setting has it; a name that is none of `names` is left to
/// the core, which lists them.
pub(crate) fn number_as_text(
    name: &str,
    value: u64,
    names: &[&str],
) -> Result<String, kvraft_error> {
    match name {
        "heartbeat_interval" | "election_timeout" | "request_timeout" | "checkpoint_interval" => {
            Ok(format!("{value}ms"))
        }
        "bootstrap_expect"
        | "max_value_bytes"
        | "storage_limit_bytes"
        | "snapshot_bytes_per_second" => Ok(value.to_string()),
        _ if names.contains(&name) => Err(other_form(name, "a number")),
        _ => Ok(value.to_string()),
    }
}

/// Returns yes or no as the text form of a setting has it, as [`number_as_text`].
pub(crate) fn bool_as_text(
    name: &str,
    value: bool,
    names: &[&str],
) -> Result<&'static str, kvraft_error> {
    if names.contains(&name) && !matches!(name, "auto_promote" | "insecure") {
        return Err(other_form(name, "true or false"));
    }
    Ok(if value { "true" } else { "false" })
}

fn other_form(name: &str, form: &str) -> kvraft_error {
    kvraft_error::invalid(&format!(
        "setting {name:?} is not {form}; set it as a text, with _set_str"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_is_a_number_by_its_name_can_be_set_to_one() {
        let units = ["_bytes", "bytes_per_second", "_interval", "_timeout", "_expect"];
        for name in Config::NAMES {
            let text = number_as_text(name, 7, &Config::NAMES);
            assert_eq!(text.is_ok(), units.iter().any(|unit| name.ends_with(unit)), "{name}");
            if let Ok(text) = text {
                Config::new("d").set(name, &text).expect("a right form");
            }
        }
    }
}
