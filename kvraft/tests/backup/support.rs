//! What the tests of backups share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use kvraft::{
    Backup, Bytes, Config, Entry, KeyRange, ReadOptions, ReplicatedMap, RestoreOptions, ScanOptions,
};

/// Reads a backup to its end into a file.
pub(crate) async fn keep(backup: Backup, file: &Path) {
    let chunks: Vec<Bytes> = backup.try_collect().await.unwrap();
    std::fs::write(file, chunks.concat()).unwrap();
}

/// Takes a backup into a new file below `dir`.
pub(crate) async fn taken(map: &ReplicatedMap, dir: &Path) -> PathBuf {
    let file = dir.join("kept");
    keep(map.backup().await.unwrap(), &file).await;
    file
}

/// Restores a file into `dir/name` and opens the node, without a socket.
pub(crate) async fn restored(file: &Path, dir: &Path, name: &str) -> ReplicatedMap {
    let data_dir = dir.join(name);
    kvraft::restore(&RestoreOptions::new(file, &data_dir, name)).unwrap();
    ReplicatedMap::open(Config::new(data_dir).name(name)).await.unwrap()
}

/// All entries by their keys.
pub(crate) async fn entries(map: &ReplicatedMap, options: ReadOptions) -> BTreeMap<Bytes, Entry> {
    let scan = map.scan(KeyRange::all(), ScanOptions::new().read(options)).await.unwrap();
    scan.map_ok(|entry| (entry.key.clone(), entry)).try_collect().await.unwrap()
}
