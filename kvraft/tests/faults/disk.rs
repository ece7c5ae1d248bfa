//! A disk without room, and one that takes no writes at all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::assert_says;
use crate::harness::eventually;
use crate::process::{Process, member};

/// A file system of its own, which is gone with the process that holds its mount namespace.
struct Disk {
    dir: TempDir,
    holder: Child,
}

impl Disk {
    fn of_mib(mib: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            unshare.arg("--map-root-user");
        }
        let script = "mount -t tmpfs -o size=$0 none \"$1\" && echo mounted && exec cat";
        let mut holder = unshare
            .args(["sh", "-c", script, &format!("{mib}m")])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is on every Debian");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "a mount namespace, as root or by user namespaces");
        Self { dir, holder }
    }

    /// A command that runs inside.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--mount"]);
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    fn start(&self) -> Result<Process, String> {
        let settings = [
            ("data_dir", self.dir.path().join("d").display().to_string()),
            ("checkpoint_interval", "50ms".to_owned()),
        ];
        Process::start_by(self.command(member()), &settings)
    }

    /// Where this process sees what is inside.
    fn path(&self, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        PathBuf::from(format!("{root}{}", self.dir.path().join(name).display()))
    }

    /// Takes all room that is left.
    fn fill(&self) {
        let mut file = File::create(self.path("filler")).unwrap();
        for piece in [1 << 20, 4096] {
            let zeros = vec![0; piece];
            let error = loop {
                if let Err(error) = file.write_all(&zeros) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
        }
    }

    fn free(&self) {
        fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

fn value(n: usize) -> String {
    format!("{n:060000}")
}

/// Puts until the disk is full; returns how many were acknowledged.
fn put_until_full(process: &mut Process) -> usize {
    for n in 0..1000 {
        let answer = process.ask(&format!("put k{n} {}", value(n)));
        if !answer.starts_with("ok") {
            assert_says(&answer, &["error full", "disk is full", "free space"]);
            return n;
        }
    }
    panic!("60 MB fit on a full disk");
}

fn assert_has(process: &mut Process, keys: std::ops::Range<usize>) {
    for n in keys {
        assert!(process.ask(&format!("get k{n}")) == format!("ok {}", value(n)), "k{n} is lost");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_what_grows_and_takes_it_again_without_a_restart() {
    let disk = Disk::of_mib(40);
    let mut process = disk.start().unwrap();
    assert!(process.ask("put before it").starts_with("ok"));
    disk.fill();
    let acknowledged = put_until_full(&mut process);
    assert_has(&mut process, 0..acknowledged);
    assert_eq!(process.ask("delete before"), "ok true");
    assert_says(&process.ask("put after it"), &["error full"]);

    disk.free();
    eventually("there is room again", async || {
        process.ask("put after it").starts_with("ok").then_some(())
    })
    .await;
    process.kill();
    let mut process = disk.start().unwrap();
    assert_has(&mut process, 0..acknowledged);
    assert_eq!(process.ask("get before"), "none");
    assert_eq!(process.ask("get after"), "ok it");
}

#[tokio::test]
async fn a_disk_of_64_mib_filled_by_the_map_alone_is_used_again_once_keys_are_deleted() {
    let disk = Disk::of_mib(64);
    let mut process = disk.start().unwrap();
    for round in 0..2 {
        // Nobody else takes room or gives any back: files of LMDB do not shrink.
        let mut acknowledged = put_until_full(&mut process);
        assert!(acknowledged > 10, "round {round}: only {acknowledged}");
        assert_has(&mut process, 0..acknowledged);
        while acknowledged > 0 {
            acknowledged -= 1;
            assert_eq!(process.ask(&format!("delete k{acknowledged}")), "ok true");
        }
        eventually("there is room again", async || {
            process.ask("put after it").starts_with("ok").then_some(())
        })
        .await;
    }
    process.kill();
    let mut process = disk.start().unwrap();
    assert_eq!(process.ask("ready"), "ok ready");
    assert_eq!(process.ask("all"), "ok after=it");
    assert!(process.ask(&format!("put k0 {}", value(0))).starts_with("ok"));
}

#[tokio::test]
async fn a_node_killed_on_a_full_disk_starts_on_it_and_has_every_acknowledged_write() {
    let disk = Disk::of_mib(40);
    let mut process = disk.start().unwrap();
    assert!(process.ask("put before it").starts_with("ok"));
    disk.fill();
    let acknowledged = put_until_full(&mut process);
    process.kill();

    let mut process = disk.start().expect("a full disk keeps no node from starting");
    assert_eq!(process.ask("ready"), "ok ready");
    assert_has(&mut process, 0..acknowledged);
    assert_eq!(process.ask("delete before"), "ok true");
    assert_eq!(process.ask("get before"), "none");

    disk.free();
    eventually("there is room again", async || {
        process.ask("put after it").starts_with("ok").then_some(())
    })
    .await;
    assert_has(&mut process, 0..acknowledged);
}

#[test]
fn a_read_only_file_system_is_refused_with_the_remedy() {
    let disk = Disk::of_mib(40);
    let mut process = disk.start().unwrap();
    assert!(process.ask("put k v").starts_with("ok"));
    assert_eq!(process.ask("close"), "ok closed");
    drop(process);
    let mount = |options| {
        let remounted = disk.command("mount").args(["-o", options]).arg(disk.dir.path()).status();
        assert!(remounted.unwrap().success());
    };
    mount("remount,ro");
    let refusal = disk.start().err().expect("read-only");
    assert_says(
        &refusal,
        &["error refused", disk.dir.path().to_str().unwrap(), "make it writable"],
    );
    mount("remount,rw");
    assert_eq!(disk.start().unwrap().ask("get k"), "ok v");
}
