//! What an installation has, and that programs find it wherever it is moved.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::support::{library_dir, soname, success, tool};

/// An installation that has been moved to another place since, and a directory beside it.
struct Installed {
    dir: TempDir,
}

impl Installed {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("package/install.sh");
        let mut install = Command::new("sh");
        success(install.arg(script).arg(library_dir()).arg(dir.path().join("first")));
        fs::rename(dir.path().join("first"), dir.path().join("moved")).expect("moved");
        Self { dir }
    }

    fn prefix(&self) -> PathBuf {
        self.dir.path().join("moved")
    }

    /// Returns a new directory.
    fn beside(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir(&path).expect("a new directory");
        path
    }

    /// Runs the examples that lie in a directory.
    fn run_examples(&self, built: &Path) {
        let said = |name: &str, argument: PathBuf| {
            let output = success(Command::new(built.join(name)).arg(argument));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let data = self.dir.path().join("data");
        assert_eq!(said("quick_start", data.clone()), "greeting is hello\nvisits: 1\n");
        assert_eq!(said("quick_start_cpp", data), "greeting is hello\nvisits: 2\n");
        let cluster = said("cluster", self.beside("cluster"));
        let lines: BTreeSet<_> = cluster.lines().collect();
        let all = ["a sees all three", "b sees all three", "c sees all three"];
        assert_eq!(lines, BTreeSet::from(all));
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/c")
}

#[test]
fn the_examples_are_built_with_cc_and_pkg_config_from_a_moved_installation() {
    let installed = Installed::new();
    let built = installed.beside("examples");
    for file in ["Makefile", "quick_start.c", "quick_start.cpp", "watch.c", "cluster.c"] {
        fs::copy(examples().join(file), built.join(file)).expect("a copy");
    }
    let library = installed.prefix().join("lib");
    let mut make = Command::new("make");
    make.args(["CFLAGS=-Wall -Wextra -Wpedantic -Werror", "CXXFLAGS=-Wall -Wextra -Werror"]);
    make.arg(format!("LDFLAGS=-Wl,-rpath,{}", library.display()));
    make.env_remove("MAKEFLAGS").env("PKG_CONFIG_PATH", library.join("pkgconfig"));
    success(make.current_dir(&built));
    installed.run_examples(&built);
    a_static_program_needs_no_library_beside_it(&installed, &library);

    let mut watch = Command::new(built.join("watch"));
    watch.arg(installed.dir.path().join("watched")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut watching = watch.spawn().expect("a program that can be started");
    let mut lines = watching.stdin.take().expect("a pipe");
    lines.write_all(b"first\nsecond\n").expect("read");
    drop(lines);
    let output = watching.wait_with_output().expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let told: Vec<_> = said.lines().filter_map(|line| line.split_once(": ")).collect();
    let told: Vec<_> = told.into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, ["notes/last is first", "notes/last is second"]);
}

fn a_static_program_needs_no_library_beside_it(installed: &Installed, library: &Path) {
    let mut flags = tool("PKG_CONFIG", "pkg-config");
    flags.args(["--cflags", "--libs", "kvraft-static"]);
    let flags = success(flags.env("PKG_CONFIG_PATH", library.join("pkgconfig"))).stdout;
    let program = installed.dir.path().join("alone");
    let mut compiler = tool("CC", "cc");
    compiler.arg(examples().join("quick_start.c")).arg("-o").arg(&program);
    success(compiler.args(String::from_utf8_lossy(&flags).split_whitespace()));
    let needed = success(tool("READELF", "readelf").arg("-d").arg(&program)).stdout;
    assert!(!String::from_utf8_lossy(&needed).contains("libkvraft"));
    success(Command::new(&program).arg(installed.dir.path().join("alone's")));
}

#[test]
fn the_examples_are_built_with_cmake_from_a_moved_installation() {
    let installed = Installed::new();
    let built = installed.beside("build");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(examples()).arg("-B").arg(&built);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", installed.prefix().display()));
    success(&mut configure);
    success(Command::new("cmake").arg("--build").arg(&built));
    installed.run_examples(&built);
    let data = installed.dir.path().join("static");
    success(Command::new(built.join("quick_start_static")).arg(data));
}

#[test]
fn the_shared_library_has_its_name_and_shows_only_what_the_header_declares() {
    let library = library_dir().join("libkvraft.so");
    let header = success(tool("READELF", "readelf").arg("-d").arg(&library)).stdout;
    let header = String::from_utf8_lossy(&header);
    assert!(header.contains(&format!("Library soname: [{}]", soname())), "{header}");

    let mut symbols = tool("NM", "nm");
    let output = success(symbols.args(["-D", "--defined-only", "--format=posix"]).arg(&library));
    let shown: BTreeSet<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    let declared: BTreeSet<_> = crate::abi::functions().into_iter().map(|it| it.name).collect();
    assert_eq!(shown, declared);
}
