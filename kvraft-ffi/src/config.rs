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
    let config = boundary::zeroed(config);
    boundary::call(error, || {
        let config = boundary::required(config, "config")?;
        let settings = Config::new(data_dir.path("data_dir")?);
        *config = Some(Box::new(kvraft_config { settings }));
        Ok(kvraft_status::KVRAFT_OK)
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
    boundary::call(error, || {
        let config = boundary::required(config, "config")?;
        config.settings.set(name.text("name")?, value.text("value")?)?;
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Frees settings. Maps that were opened with them stay open. Does nothing if config is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_config_free(config: Option<Box<kvraft_config>>) {
    boundary::release(|| config);
}
