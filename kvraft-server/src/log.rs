//! The log goes to the standard error, as lines of text or of JSON; spans may go to a collector.

use anyhow::{Context, Result, anyhow};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::layers::Layer;
use crate::reloaded::Reload;
use crate::settings::{LogFormat, Settings};
use crate::traces::{self, Traces};

/// What is logged, which can change while the server runs.
#[derive(Debug)]
pub(crate) struct LogFilter {
    /// What the command line says: the other sources are read again.
    flags: Layer,
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging, and telling spans if there is someone to tell them to.
pub(crate) fn start(
    settings: &Settings,
    flags: Layer,
    traces: Option<Traces>,
) -> Result<LogFilter> {
    let (filter, handle) = reload::Layer::new(parse(&settings.log)?);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.log_format {
        LogFormat::Text => {
            lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let spans = Targets::new().with_target(traces::TARGET, tracing::Level::DEBUG);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.map(|traces| traces.with_filter(spans)))
        .try_init()
        .map_err(|error| anyhow!("cannot start logging: {error}"))?;
    Ok(LogFilter { flags, filter: handle })
}

/// Reads what to log.
pub(crate) fn parse(filter: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(filter)
        .with_context(|| format!("log {filter:?} is not a filter such as info,openraft=warn"))
}

impl LogFilter {
    fn read_again(&self) -> Result<String> {
        let log = Settings::log(&Settings::given(self.flags.clone())?);
        self.filter.reload(parse(&log)?).context("the log has ended")?;
        Ok(log)
    }
}

impl Reload for LogFilter {
    fn reload(&self) {
        match self.read_again() {
            Ok(log) => tracing::info!(log, "took over what to log"),
            Err(error) => tracing::error!("what to log stays as it was: {error:#}"),
        }
    }
}
