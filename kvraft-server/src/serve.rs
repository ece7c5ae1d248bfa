//! `serve` runs one node with its HTTP interface, from its settings to its end.

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kvraft::{ReplicatedMap, Status};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::{self, App};
use crate::layers::Layer;
use crate::log;
use crate::settings::Settings;
use crate::shutdown::Shutdown;

/// Probes are short: they need no time at the end.
const PROBE_GRACE: Duration = Duration::from_millis(100);

pub(crate) fn run(flags: Layer) -> Result<()> {
    let settings = Settings::gather(flags)?;
    log::start(&settings.log, settings.log_format)?;
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
    let app = Arc::new(App::new());
    let (stop, stopped) = watch::channel(false);
    let http = bind("listen_http", settings.listen_http).await?;
    let address = http.local_addr().context("listen_http has no address")?;
    let routes = http::routes(app.clone());
    let serving = tokio::spawn(http::serve(http, routes, stopped, settings.shutdown_grace));
    // Probes are answered to the very end; the channel closes with this function.
    let (_end, ended) = watch::channel(false);
    if let Some(health) = settings.listen_health {
        let health = bind("listen_health", health).await?;
        tokio::spawn(http::serve(health, http::health_routes(app.clone()), ended, PROBE_GRACE));
    }
    let map = tokio::select! {
        opened = ReplicatedMap::open(settings.config) => opened?,
        asked = shutdown.asked() => bail!("{asked} came before the node was open"),
    };
    app.open(map.clone());
    announce(address, &map.status())?;
    let asked = shutdown.asked().await;
    tracing::info!("stopping, asked by {asked}");
    app.drain();
    stop.send_replace(true);
    unless_asked_again(&mut shutdown, end(serving, map)).await?
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
