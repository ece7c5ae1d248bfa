//! `Notify` tells the service manager how the server is, by the protocol of `sd_notify`.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// A watchdog is fed twice in the time that it waits.
const FEEDS: u32 = 2;
/// No manager waits for less; a wrong variable must not keep a thread busy.
const SHORTEST_FEED: Duration = Duration::from_millis(10);

/// How often what is told once is told to a manager whose queue is full, and the pauses between: half a
/// second in all, as nothing else waits so long for it.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// The way to the service manager; without one, nothing is told.
#[derive(Debug, Default)]
pub(crate) struct Notify {
    manager: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Finds the manager by the variables that it sets.
    pub(crate) fn from_environment() -> Result<Self> {
        Self::new(&|name| std::env::var_os(name), std::process::id())
    }

    fn new(variables: &dyn Fn(&str) -> Option<OsString>, own_id: u32) -> Result<Self> {
        let Some(path) = variables("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Ok(Self::default());
        };
        let address = address(&path).context("NOTIFY_SOCKET is not the address of a socket")?;
        let socket = UnixDatagram::unbound().context("cannot open a socket for NOTIFY_SOCKET")?;
        // A manager that does not listen must not hold the server up.
        socket.set_nonblocking(true).context("cannot set up a socket for NOTIFY_SOCKET")?;
        let number = |name: &str| variables(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|id| id == u64::from(own_id));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        let every = |micros| (Duration::from_micros(micros) / FEEDS).max(SHORTEST_FEED);
        Ok(Self { manager: Some((socket, address)), watchdog: watchdog.map(every) })
    }

    /// The node is open: what is ordered after it may start.
    pub(crate) async fn ready(&self) {
        self.tell_surely("READY=1\nSTATUS=serving").await;
    }

    /// The server was asked to stop.
    pub(crate) async fn stopping(&self) {
        self.tell_surely("STOPPING=1\nSTATUS=handing over and finishing requests").await;
    }

    /// Says again and again that the event loop turns, for as long as `is_well`; a manager that
    /// hears nothing more ends the process and starts it anew.
    pub(crate) async fn feed(&self, is_well: impl Fn() -> bool) {
        let Some(period) = self.watchdog else { return };
        let mut ticks = tokio::time::interval(period);
        loop {
            ticks.tick().await;
            if is_well() {
                // One that is lost is followed by the next.
                self.tell("WATCHDOG=1").ok();
            }
        }
    }

    /// Tells what is told only once: a manager that is behind has a full queue for a moment.
    async fn tell_surely(&self, state: &str) {
        for _ in 1..TRIES {
            match self.tell(state) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return tracing::warn!(%error, "the service manager does not listen"),
                Ok(()) => return,
            }
        }
        tracing::warn!("the service manager does not listen");
    }

    fn tell(&self, state: &str) -> std::io::Result<()> {
        let Some((socket, address)) = &self.manager else { return Ok(()) };
        socket.send_to_addr(state.as_bytes(), address).map(drop)
    }
}

/// A path, or a name of the abstract kind behind an `@`.
fn address(path: &OsStr) -> std::io::Result<SocketAddr> {
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut text = [0; 256];
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_owned()).unwrap()
    }

    #[tokio::test]
    async fn the_manager_hears_of_the_start_and_of_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("kvraft-test-{}", path.display());
        let by_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let managers = [
            (UnixDatagram::bind(&path).unwrap(), path.clone().into_os_string()),
            (UnixDatagram::bind_addr(&by_name).unwrap(), format!("@{abstract_name}").into()),
        ];
        for (manager, variable) in managers {
            let variables = |name: &str| (name == "NOTIFY_SOCKET").then(|| variable.clone());
            let notify = Notify::new(&variables, 1).unwrap();
            notify.ready().await;
            assert!(heard(&manager).starts_with("READY=1\n"));
            notify.stopping().await;
            assert!(heard(&manager).starts_with("STOPPING=1\n"));
        }
    }

    #[tokio::test]
    async fn a_watchdog_is_fed_while_the_node_is_well_and_only_one_of_this_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let variables = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.clone().into_os_string()),
            "WATCHDOG_USEC" => Some("40000".into()),
            "WATCHDOG_PID" => Some("7".into()),
            _ => None,
        };
        let notify = Notify::new(&variables, 7).unwrap();
        assert_eq!(notify.watchdog, Some(Duration::from_millis(20)));
        assert_eq!(Notify::new(&variables, 8).unwrap().watchdog, None, "it is of another process");
        let feeding = tokio::spawn(async move { notify.feed(|| true).await });
        let hear = move || (heard(&manager), heard(&manager));
        let heard = tokio::task::spawn_blocking(hear).await.unwrap();
        assert_eq!(heard, ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
        feeding.abort();
    }

    #[tokio::test]
    async fn a_manager_that_is_behind_hears_of_the_end_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let variables = |name: &str| (name == "NOTIFY_SOCKET").then(|| path.clone().into());
        let notify = Notify::new(&variables, 1).unwrap();
        while notify.tell("WATCHDOG=1").is_ok() {}
        let reading =
            tokio::task::spawn_blocking(
                move || {
                    while !heard(&manager).starts_with("STOPPING=1") {}
                },
            );
        notify.stopping().await;
        reading.await.unwrap();
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_told() {
        let notify = Notify::new(&|_| None, 1).unwrap();
        notify.ready().await;
        notify.feed(|| true).await;
    }
}
