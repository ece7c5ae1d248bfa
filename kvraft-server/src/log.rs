//! The log goes to the standard error, as lines of text or of JSON.

use anyhow::{Context, Result, anyhow};
use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging what `filter` names.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("log {filter:?} is not a filter such as info,openraft=warn"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))
}
