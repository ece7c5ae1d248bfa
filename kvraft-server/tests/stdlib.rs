//! The main job with real input: all of Python's standard library through three servers.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use kvraft_server::demo::cluster::{Cluster, Plan};
use kvraft_server::demo::corpus;
use kvraft_server::demo::ports::Ports;
use kvraft_server::demo::stop::Stop;
use kvraft_server::demo::story::Story;
use serde_json::Value;

/// Far above what the library holds (some 2,000 source files, 35 MB).
const ALL: (usize, u64) = (100_000, 1 << 30);

#[test]
fn every_acknowledged_file_is_on_every_node_after_the_leader_was_killed() {
    let library = corpus::python_library().expect("python3 with its standard library");
    let mut files = corpus::read(&library, ALL.0, ALL.1).unwrap();
    files.retain(|file| file.key.ends_with(b".py"));
    assert!(files.len() > 500, "{} has only {} sources", library.display(), files.len());

    let dir = tempfile::tempdir().unwrap();
    let plan = Plan {
        program: env!("CARGO_BIN_EXE_kvraft-server").into(),
        dir: dir.path().to_owned(),
        nodes: 3,
        ports: Ports { raft: 0, http: 0 },
        flags: Vec::new(),
    };
    let stop = Stop::default();
    let mut cluster = Cluster::start(&plan, &stop).unwrap();
    let mut story = Story { cluster: &mut cluster, files: &files, clients: 8, stop: &stop };
    let loaded = story.load_and_kill().unwrap();
    eprintln!("{} files in {:?}, failover {:?}", files.len(), loaded.took, loaded.failover);
    story.cluster.restart(loaded.killed, &stop).unwrap();
    for node in story.cluster.nodes() {
        let took = story.read_back(node).unwrap();
        eprintln!("read back from {} in {took:?}", node.name());
    }

    // A second witness, which shares no code with the first: the listing of each node, and for the
    // one that was killed the files as they are on this disk.
    let begin = Instant::now();
    let mut expected: Vec<_> = files.iter().map(|file| file.key.clone()).collect();
    expected.sort_unstable();
    for (at, node) in cluster.nodes().iter().enumerate() {
        let library = (at == loaded.killed).then_some(library.as_path());
        assert_eq!(listed(&node.url(), library).unwrap(), expected, "node {}", node.name());
    }
    eprintln!("listed from each in {:?}", begin.elapsed());
}

/// All keys of a node, after comparing each value with its file in `library`.
fn listed(node: &str, library: Option<&Path>) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    let mut query = format!("limit=200&values={}", library.is_some());
    loop {
        let mut answer = ureq::get(format!("{node}/keys?{query}")).call()?;
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        let page: Value = serde_json::from_slice(&body)?;
        for entry in page.get("keys").and_then(Value::as_array).context("no keys")? {
            let key = entry.get("key").unwrap_or(entry);
            let key = key.as_str().context("the library's paths are text")?;
            if let Some(library) = library {
                compare(key, entry, library)?;
            }
            keys.push(key.as_bytes().to_owned());
        }
        match page.get("cursor").and_then(Value::as_str) {
            Some(last) => query = format!("limit=200&values={}&cursor={last}", library.is_some()),
            None => return Ok(keys),
        }
    }
}

fn compare(key: &str, entry: &Value, library: &Path) -> Result<()> {
    let file = std::fs::read(library.join(OsStr::from_bytes(key.as_bytes())))?;
    match entry.get("body").and_then(Value::as_str) {
        Some(text) => ensure!(text.as_bytes() == file, "{key} differs"),
        None => ensure!(
            entry.get("body_base64").is_some() && str::from_utf8(&file).is_err(),
            "{key} is no text"
        ),
    }
    Ok(())
}
