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

use crate::http::{self, App, Listener};
use crate::http_settings::HttpSettings;
use crate::layers::Layer;
use crate::log;
use crate::rejoin;
use crate::reloaded::{self, Reload, Reloaded};
use crate::settings::Settings;
use crate::shutdown::Shutdown;
use crate::tokens::Tokens;

/// Probes are short: they need no time at the end.
const PROBE_GRACE: Duration = Duration::from_millis(100);
/// Probes come from few, and one that opens more has a fault.
const PROBE_CONNECTIONS: u32 = 64;

pub(crate) fn run(flags: Layer) -> Result<()> {
    let settings = Settings::gather(flags)?;
    log::start(&settings.log, settings.log_format)?;
    if settings.rejoin {
        rejoin::begin_anew(&settings.data_dir)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("kvraft-http")
        .enable_all()
        .build()
        .context("cannot start the threads of the HTTP interface")?;
    let done = runtime.block_on(serve(settings));
    // Connections that outlived the grace are not waited for.
    runtime.shutdown_background();
    done
}

async fn serve(settings: Settings) -> Result<()> {
    let mut shutdown = Shutdown::listen(settings.stop_with_stdin)?;
    let http = settings.http;
    let rejoin = settings.rejoin.then_some(settings.data_dir);
    let files = Files::open(&http)?;
    let app = Arc::new(App::new(http::Options {
        tokens: files.tokens.clone(),
        follower_mode: http.follower_mode,
        consistency: settings.consistency,
        max_watches: http.max_watches,
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
    let following = tokio::spawn(reloaded::follow(files.all()));
    let map = tokio::select! {
        opened = ReplicatedMap::open(settings.config) => opened?,
        asked = shutdown.asked() => bail!("{asked} came before the node was open"),
    };
    app.open(map.clone());
    announce(address, &map.status())?;
    let asked = asked_or_removed(&mut shutdown, &map, rejoin).await;
    if let Some(asked) = asked {
        tracing::info!("stopping, asked by {asked}");
    }
    app.drain();
    stop.send_replace(true);
    following.abort();
    unless_asked_again(&mut shutdown, end(serving, map)).await??;
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

/// Lets requests finish, then hands leadership over and closes.
async fn end(serving: JoinHandle<()>, map: ReplicatedMap) -> Result<()> {
    serving.await.context("the HTTP interface broke")?;
    map.close().await.context("the node did not close well")?;
    tracing::info!("stopped");
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
