//! `demo` shows in one terminal what the map is for: three nodes, real files, a dead leader.

pub mod client;
pub mod cluster;
pub mod corpus;
pub mod ports;
pub mod stop;
pub mod story;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use self::client::key_url;
use self::cluster::{Cluster, Plan};
use self::corpus::File;
use self::ports::Ports;
use self::stop::Stop;
use self::story::{Loaded, Story};
use crate::shutdown::Shutdown;

/// The ports of the first node, if they are free.
const WISHED: Ports = Ports { raft: 7001, http: 8001 };

/// What the demo was asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the files are; chosen if absent.
    pub dir: Option<PathBuf>,
    /// How many files at most.
    pub max_files: usize,
    /// How many bytes at most.
    pub max_bytes: u64,
    /// How many clients at a time.
    pub clients: usize,
    /// Whether to end when done, even on a terminal.
    pub once: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let stop = Stop::default();
    stop_on_signal(stop.clone())?;
    let dir = files_dir(options)?;
    let files = corpus::read(&dir, options.max_files, options.max_bytes)?;
    let home = tempfile::tempdir().context("cannot make a temporary directory")?;
    let plan = Plan {
        program: std::env::current_exe().context("cannot find this program")?,
        dir: home.path().to_owned(),
        nodes: 3,
        ports: WISHED,
        flags: Vec::new(),
    };
    say("starting three nodes, each a process of its own …")?;
    let mut cluster = Cluster::start(&plan, &stop)?;
    for node in cluster.nodes() {
        say(&format!("  {}  {}", node.name(), node.url()))?;
    }
    let mut story =
        Story { cluster: &mut cluster, files: &files, clients: options.clients, stop: &stop };
    tell(&mut story, &dir)?;
    let stays = !options.once && std::io::stdout().is_terminal();
    say(if stays { "Try:" } else { "On a terminal the nodes would stay up, to try:" })?;
    say(&to_try(&cluster, &files))?;
    if stays {
        say("The three nodes stay up until Ctrl-C.")?;
        stop.wait();
    }
    Ok(())
}

fn tell(story: &mut Story<'_>, dir: &Path) -> Result<()> {
    let bytes: usize = story.files.iter().map(|file| file.value.len()).sum();
    let count = story.files.len();
    let shown = bytesize::ByteSize(u64::try_from(bytes)?);
    say(&format!(
        "putting {count} files ({shown}) of {} with {} clients; the leader gets kill -9 half-way …",
        dir.display(),
        story.clients
    ))?;
    let loaded = story.load_and_kill()?;
    let name = |at: usize| story.cluster.nodes().get(at).map_or("", |node| node.name());
    say(&format!(
        "  killed {}; the next write was acknowledged {:?} later",
        name(loaded.killed),
        rounded(loaded.failover)
    ))?;
    say("reading every key back from each survivor …")?;
    for node in story.cluster.nodes().iter().filter(|node| node.runs()) {
        say(&format!(
            "  {}  {count} of {count} in {:?}",
            node.name(),
            rounded(story.read_back(node)?)
        ))?;
    }
    say(&format!("starting {} again, and reading every key from it …", name(loaded.killed)))?;
    story.cluster.restart(loaded.killed, story.stop)?;
    let node = story.cluster.nodes().get(loaded.killed).context("no such node")?;
    say(&format!(
        "  {}  {count} of {count} in {:?}",
        node.name(),
        rounded(story.read_back(node)?)
    ))?;
    say(&summary(&loaded, count, &shown.to_string()))
}

fn summary(loaded: &Loaded, count: usize, bytes: &str) -> String {
    let seconds = loaded.took.as_secs_f64();
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds;
    format!(
        "\n  keys      {count}\n  bytes     {bytes}\n  load      {seconds:.2} s, {rate:.0} puts/s, failover included\
         \n  failover  {:?}\n  every acknowledged key is there, byte for byte, on a, b and c\n",
        rounded(loaded.failover)
    )
}

fn to_try(cluster: &Cluster, files: &[File]) -> String {
    let urls = cluster.urls();
    let url = |at: usize| urls.get(at).map_or("", String::as_str);
    let first = files.first().map_or(&b"greeting"[..], |file| &file.key);
    format!(
        "  curl {}/status\n  curl '{}/keys?limit=5'\n  curl '{}?raw'\n  \
         curl -X PUT --data-binary hello {}/key/greeting\n  curl {}/key/greeting\n",
        url(0),
        url(1),
        key_url(url(2), first),
        url(0),
        url(1)
    )
}

/// The directory that was asked for, or the first that this machine has.
fn files_dir(options: &Options) -> Result<PathBuf> {
    let headers = || Some(PathBuf::from("/usr/include")).filter(|dir| dir.is_dir());
    match options.dir.clone().or_else(corpus::python_library).or_else(headers) {
        Some(dir) => Ok(dir),
        None => std::env::current_dir().context("cannot find a directory with files"),
    }
}

/// Hears signals on a thread of its own, since everything else here blocks.
fn stop_on_signal(stop: Stop) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot listen for signals")?;
    let mut shutdown = {
        let _entered = runtime.enter();
        Shutdown::listen(false)?
    };
    let listen = move || {
        runtime.block_on(shutdown.asked());
        stop.set();
    };
    std::thread::Builder::new()
        .name("kvraft-signals".to_owned())
        .spawn(listen)
        .context("cannot start a thread")?;
    Ok(())
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to the standard output")
}

/// Milliseconds are enough.
fn rounded(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
