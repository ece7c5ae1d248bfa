//! `kvraft_client_config` collects the settings of a client before it connects.

use std::mem::MaybeUninit;

use kvraft::ClientConfig;

use crate::boundary::{self, LentText};
use crate::config::{bool_as_text, number_as_text};
use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// The settings of a client. Not for several threads at once.
#[derive(Debug)]
pub struct kvraft_client_config {
    settings: ClientConfig,
}

impl kvraft_client_config {
    pub(crate) fn settings(&self) -> ClientConfig {
        self.settings.clone()
    }
}

/// Makes the default settings for a cluster that is reached at any of these endpoints.
///
/// endpoints: "host:port,host:port", the addresses that members listen on; one that answers is
/// enough. UTF-8 with a NUL byte at its end, copied.
/// config: where the settings go; free them with kvraft_client_config_free.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL. kvraft_connect checks the addresses.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_client_config_new(
    endpoints: LentText,
    config: Option<&mut MaybeUninit<Option<Box<kvraft_client_config>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(config, "config", error, || {
        let mut settings = ClientConfig::new(Vec::<String>::new());
        settings.set("endpoints", endpoints.text("endpoints")?)?;
        Ok(kvraft_client_config { settings })
    })
}

/// Sets one setting by its name, as kvraft_config_set_str does: "name", "endpoints", "consistency",
/// "request_timeout", "cluster_secret", "cluster_secret_file", "tls_ca", "tls_cert", "tls_key" and
/// "insecure", which have the meaning that they have for members.
///
/// config, name, value: texts are UTF-8 and end in a NUL byte; they are copied.
///
/// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_str.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_client_config_set_str(
    config: Option<&mut kvraft_client_config>,
    name: LentText,
    value: LentText,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        Ok(config.settings.set(name.text("name")?, value.text("value")?)?)
    })
}

/// Sets one setting that is a number by its name: "request_timeout", in milliseconds.
///
/// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
///
/// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_u64.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_client_config_set_u64(
    config: Option<&mut kvraft_client_config>,
    name: LentText,
    value: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        let name = name.text("name")?;
        Ok(config.settings.set(name, &number_as_text(name, value, &ClientConfig::NAMES)?)?)
    })
}

/// Sets one setting that is yes or no by its name: "insecure".
///
/// config, name: the text is UTF-8 and ends in a NUL byte; it is copied.
///
/// KVRAFT_INVALID_ARGUMENT: as for kvraft_config_set_bool.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_client_config_set_bool(
    config: Option<&mut kvraft_client_config>,
    name: LentText,
    value: bool,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::with(config, "config", error, |config| {
        let name = name.text("name")?;
        Ok(config.settings.set(name, bool_as_text(name, value, &ClientConfig::NAMES)?)?)
    })
}

/// Frees settings. Maps that were connected with them stay open. Does nothing if config is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_client_config_free(config: Option<Box<kvraft_client_config>>) {
    boundary::release(|| config);
}
