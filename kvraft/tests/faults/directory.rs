//! Data directories that a node cannot or must not use.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kvraft::{Config, ErrorKind, ReplicatedMap};
use tempfile::TempDir;

use crate::assert_says;
use crate::harness::PATIENCE;
use crate::process::{Process, member};

/// The example under the file permissions of its user, which root is above otherwise.
fn bound_by_permissions() -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(member());
    }
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all"]).arg(member());
    command
}

#[tokio::test]
async fn a_directory_of_a_newer_format_asks_for_a_newer_release_and_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path())).await.unwrap();
    map.put("k", "v").await.unwrap();
    map.close().await.unwrap();
    drop(map);
    let (format, log) = (dir.path().join("FORMAT"), dir.path().join("log/data.mdb"));
    fs::write(&format, "kvraft 2\n").unwrap();
    let before = fs::read(&log).unwrap();

    let error = ReplicatedMap::open(Config::new(dir.path())).await.expect_err("a newer format");
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert_says(&error.to_string(), &["format 2", "open it with the newer kvraft"]);
    assert!(fs::read(&log).unwrap() == before, "the log stays as it is");

    fs::write(&format, "kvraft 1\n").unwrap();
    let map = ReplicatedMap::open(Config::new(dir.path())).await.unwrap();
    map.wait_ready(PATIENCE).await.unwrap();
    assert_eq!(map.get("k").await.unwrap().unwrap(), "v");
    map.close().await.unwrap();
}

#[tokio::test]
async fn a_path_that_is_a_file_or_leads_through_one_is_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "not ours").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = ReplicatedMap::open(Config::new(&path)).await.expect_err("a file");
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert_says(&error.to_string(), &[path.to_str().unwrap(), "not a directory, choose"]);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "not ours");
}

#[test]
fn a_directory_that_its_user_may_not_read_or_write_is_refused_with_its_mode_and_the_remedy() {
    let temp = TempDir::new().unwrap();
    let dir = temp.path().join("d");
    let settings = [("data_dir", dir.display().to_string())];
    let mut process = Process::start_by(bound_by_permissions(), &settings).unwrap();
    assert!(process.ask("put k v").starts_with("ok"));
    assert_eq!(process.ask("close"), "ok closed");
    drop(process);

    for mode in [0o000, 0o500] {
        fs::set_permissions(&dir, Permissions::from_mode(mode)).unwrap();
        let refusal = Process::start_by(bound_by_permissions(), &settings).err().expect("refused");
        let mode = format!("mode {mode:04o}");
        let path = dir.to_str().unwrap();
        let words = ["error refused", path, &mode, "uid", "make it writable for this user"];
        assert_says(&refusal, &words);
    }

    fs::set_permissions(&dir, Permissions::from_mode(0o700)).unwrap();
    let mut process = Process::start_by(bound_by_permissions(), &settings).unwrap();
    assert_eq!(process.ask("get k"), "ok v");
}
