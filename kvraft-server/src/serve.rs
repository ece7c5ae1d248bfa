//! `serve` runs one node with its HTTP interface, from its settings to its end.

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kvraft::{ReplicatedMap, Status};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::http::{self, App, Listener};
use crate::http_settings::HttpSettings;
use crate::layers::Layer;
use crate::log;
use crate::notify::Notify;
use crate::rejoin;
use crate::reloaded::{self, Reload, Reloaded};
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::tokens::Tokens;
use crate::traces::{Told, Traces};

/// Probes are short: they need no time at the end.
const PROBE_GRACE: Duration = Duration::from_millis(100);
/// Probes come from few, and one that opens more has a fault.
const PROBE_CONNECTIONS: u32 = 64;

/// Of the grace, at most so long is kept for the last checkpoint and for the log.
const CLOSING: Duration = Duration::from_secs(2);
/// A node gets so long to close even if requests have taken the whole grace.
const LEAST_CLOSING: Duration = Duration::from_secs(1);
/// The spans of the last requests are not worth more.
const LAST_SPANS: Duration = Duration::from_secs(1);

pub(crate) fn run(flags: Layer) -> Result<()> {
    let settings = Settings::gather(flags.clone())?;
    let traces = settings.traces.clone().map(Traces::start).transpose()?;
    let log = Arc::new(log::start(&settings, flags, traces.clone())?);
    if settings.rejoin {
        rejoin::begin_anew(&settings.data_dir)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("kvraft-http")
        .enable_all()
        .build()
        .context("cannot start the threads of the HTTP interface")?;
    let told = traces.as_ref().map(Traces::told);
    let done = runtime.block_on(serve(settings, log, told));
    // Connections that outlived the grace are not waited for.
    runtime.shutdown_background();
    if let Some(traces) = traces {
        traces.flush(LAST_SPANS);
    }
    done
}

async fn serve(settings: Settings, log: Arc<dyn Reload>, traces: Option<Arc<Told>>) -> Result<()> {
    let mut shutdown = Shutdown::listen(settings.stop_with_stdin)?;
    let notify = Arc::new(Notify::from_environment()?);
    let http = settings.http;
    let rejoin = settings.rejoin.then_some(settings.data_dir);
    let files = Files::open(&http)?;
    let app = Arc::new(App::new(http::Options {
        tokens: files.tokens.clone(),
        follower_mode: http.follower_mode,
        consistency: settings.consistency,
        max_watches: http.max_watches,
        traces: traces.unwrap_or_default(),
    }));
    let (stop, stopped) = watch::channel(false);
    let listener = Listener {
        tcp: bind("listen_http", http.listen).await?,
        tls: files.tls.clone(),
        max_connections: http.max_connections,
        head_timeout: http.head_timeout,
        grace: http.grace,
    };
    let address = listener.tcp.local_addr().context("listen_http has no address")?;
    let serving = tokio::spawn(listener.serve(http::routes(app.clone()), stopped));
    // Probes are answered to the very end; the channel closes with this function.
    let (_end, ended) = watch::channel(false);
    serve_probes(&http, &app, ended).await?;
    let following = tokio::spawn(reloaded::follow(files.all(), log));
    let feeding = tokio::spawn({
        let (notify, app) = (Arc::clone(&notify), Arc::clone(&app));
        async move { notify.feed(|| !app.has_failed()).await }
    });
    let map = tokio::select! {
        opened = ReplicatedMap::open(settings.config) => opened?,
        asked = shutdown.asked() => {
            tracing::info!("stopped, asked by {asked} before the node was open");
            return Ok(());
        }
    };
    app.open(map.clone());
    announce(address, &map.status())?;
    notify.ready().await;
    let asked = asked_or_removed(&mut shutdown, &map, rejoin).await;
    if let Some(asked) = asked {
        tracing::info!("stopping, asked by {asked}");
    }
    notify.stopping().await;
    following.abort();
    let ending = Ending { app, map, serving, stop, grace: http.grace };
    let ended = unless_asked_again(&mut shutdown, Box::pin(ending.run())).await?;
    feeding.abort();
    ended?;
    match asked {
        Some(_) => Ok(()),
        None => bail!(
            "this node was removed from its cluster before it started; started again, it joins anew"
        ),
    }
}

/// Waits until the process is asked to stop, and says how; or until the node has to begin anew.
async fn asked_or_removed(
    shutdown: &mut Shutdown,
    map: &ReplicatedMap,
    rejoin: Option<PathBuf>,
) -> Option<&'static str> {
    let Some(data_dir) = rejoin else { return Some(shutdown.asked().await) };
    tokio::select! {
        asked = shutdown.asked() => Some(asked),
        () = rejoin::learned_at_start(map, &data_dir) => None,
    }
}

/// What is left to do once the server was asked to stop.
struct Ending {
    app: Arc<App>,
    map: ReplicatedMap,
    serving: JoinHandle<()>,
    stop: watch::Sender<bool>,
    grace: Duration,
}

impl Ending {
    /// Ends within the grace: shows that no more requests should come, hands the leadership over
    /// while they still may, lets those finish that have begun, and closes the node.
    async fn run(self) -> Result<()> {
        let end = Instant::now() + self.grace;
        self.app.drain();
        hand_over(&self.map, self.grace / 2).await;
        self.stop.send_replace(true);
        let closing = (self.grace / 4).min(CLOSING);
        match timeout_at(end - closing, self.serving).await {
            Ok(served) => served.context("the HTTP interface broke")?,
            Err(_) => tracing::warn!(
                grace = ?self.grace,
                "requests were cut off, as they took longer than shutdown_grace"
            ),
        }
        // What was acknowledged is on the disk: whatever is cut off here is done at the next start.
        match timeout_at(end.max(Instant::now() + LEAST_CLOSING), self.map.close()).await {
            Ok(closed) => closed.context("the node did not close well")?,
            Err(_) => tracing::warn!("the node did not close within shutdown_grace"),
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Has another voter lead, if this node does, so that requests that come meanwhile go there.
async fn hand_over(map: &ReplicatedMap, patience: Duration) {
    let status = map.status();
    let others = status.members.iter().filter(|member| member.voter).count() > 1;
    if !status.is_leader() || !others {
        return;
    }
    match timeout(patience, map.transfer_leadership(None)).await {
        Ok(Ok(())) => tracing::info!("handed the leadership over"),
        Ok(Err(error)) => tracing::warn!(%error, "cannot hand the leadership over"),
        Err(_) => tracing::warn!("no voter took the leadership over in time"),
    }
}

/// Fails if a file that is read while the server runs cannot be used.
pub(crate) fn check_files(settings: &HttpSettings) -> Result<()> {
    Files::open(settings).map(drop)
}

/// What is read again while the server runs.
struct Files {
    tls: Option<Arc<Reloaded<ServerConfig>>>,
    tokens: Option<Arc<Reloaded<Tokens>>>,
}

impl Files {
    fn open(settings: &HttpSettings) -> Result<Self> {
        let tls = match settings.tls.as_slice() {
            [] => None,
            files => {
                let files = files.to_vec();
                Some(Arc::new(Reloaded::open("http_tls_cert", files, http::server_config)?))
            }
        };
        let tokens = match &settings.token_file {
            None => None,
            Some(file) => {
                let files = vec![file.clone()];
                Some(Arc::new(Reloaded::open("token_file", files, Tokens::read)?))
            }
        };
        if tokens.as_ref().is_some_and(|tokens| tokens.current().is_empty()) {
            tracing::warn!("token_file lists nobody: every request is refused until it does");
        }
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(Self { tls, tokens })
    }

    fn all(self) -> Vec<Arc<dyn Reload>> {
        let tls = self.tls.map(|tls| -> Arc<dyn Reload> { tls });
        let tokens = self.tokens.map(|tokens| -> Arc<dyn Reload> { tokens });
        tls.into_iter().chain(tokens).collect()
    }
}

async fn serve_probes(
    settings: &HttpSettings,
    app: &Arc<App>,
    ended: watch::Receiver<bool>,
) -> Result<()> {
    let Some(address) = settings.health else { return Ok(()) };
    let listener = Listener {
        tcp: bind("listen_health", address).await?,
        tls: None,
        max_connections: PROBE_CONNECTIONS,
        head_timeout: settings.head_timeout,
        grace: PROBE_GRACE,
    };
    tokio::spawn(listener.serve(http::health_routes(Arc::clone(app)), ended));
    Ok(())
}

async fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {setting} {address}"))
}

/// Says on the standard output, in one line for programs, where the node is reached.
fn announce(http: SocketAddr, status: &Status) -> Result<()> {
    let raft = if status.address.is_empty() { "-" } else { &status.address };
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "listening http={http} raft={raft}")
        .and_then(|()| stdout.flush())
        .context("cannot write to the standard output")?;
    tracing::info!(%http, name = status.name, node_id = status.node_id, "serving");
    Ok(())
}

/// Whoever asks a second time does not want to wait.
async fn unless_asked_again<T>(
    shutdown: &mut Shutdown,
    ending: impl Future<Output = T>,
) -> Result<T> {
    tokio::select! {
        ended = ending => Ok(ended),
        asked = shutdown.asked() => bail!("{asked} came while stopping; stopped at once"),
    }
}
