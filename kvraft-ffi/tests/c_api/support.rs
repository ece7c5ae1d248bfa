//! `Program` is a C program, compiled against the library as a user would.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// The directory of libkvraft.so and libkvraft.a, for a caller that has built or installed them;
/// without it, the tests build them.
const LIBRARY_DIR: &str = "KVRAFT_LIB_DIR";

/// What `rustc --print native-static-libs` names: the price of the static library.
const SYSTEM_LIBRARIES: [&str; 7] =
    ["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linkage {
    Shared,
    Static,
    /// Static, and ended by the compiler's sanitizers at the first wrong access, undefined
    /// behaviour or leak: they watch the library's heap as well.
    Watched,
    /// Shared, and ended by the compiler's ThreadSanitizer, which sees the program alone.
    Raced,
}

const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    C,
    Cxx,
}

/// A compiled program with a directory of its own.
#[derive(Debug)]
pub(crate) struct Program {
    dir: TempDir,
    exe: PathBuf,
}

impl Program {
    /// Compiles `tests/c/{name}.c`, or `{name}.cpp` if there is no such file.
    pub(crate) fn of(name: &str, linkage: Linkage, language: Language) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name);
        let source = source.with_extension("c");
        let source = if source.exists() { source } else { source.with_extension("cpp") };
        Self::compile(&source, linkage, language)
    }

    pub(crate) fn compile(source: &Path, linkage: Linkage, language: Language) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let exe = dir.path().join("program");
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut compiler = match language {
            Language::C => tool("CC", "cc"),
            Language::Cxx => tool("CXX", "g++"),
        };
        match language {
            Language::C => compiler.args(["-std=c99", "-x", "c"]),
            Language::Cxx => compiler.args(["-std=c++17", "-x", "c++"]),
        };
        compiler
            .args(WARNINGS)
            .args(["-g", "-pthread", "-D_POSIX_C_SOURCE=200809L"])
            .arg("-I")
            .arg(package.join("../include"))
            .arg("-I")
            .arg(package.join("tests/c"))
            .arg(source)
            .args(["-x", "none", "-o"])
            .arg(&exe);
        match linkage {
            Linkage::Watched => compiler.args(SANITIZERS),
            Linkage::Raced => compiler.arg("-fsanitize=thread"),
            Linkage::Shared | Linkage::Static => &mut compiler,
        };
        match linkage {
            Linkage::Static | Linkage::Watched => {
                compiler.arg(library_dir().join("libkvraft.a")).args(SYSTEM_LIBRARIES);
            }
            Linkage::Shared | Linkage::Raced => {
                let installed = install_shared(dir.path());
                compiler.arg("-L").arg(&installed).arg("-lkvraft");
                compiler.arg(format!("-Wl,-rpath,{}", installed.display()));
            }
        }
        success(&mut compiler);
        Self { dir, exe }
    }

    /// Returns a path for a data directory that no other program has.
    pub(crate) fn data_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn exe(&self) -> &Path {
        &self.exe
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.exe)
    }

    /// Runs the program, in its own directory, to its end, which it puts a deadline to by itself, and expects success.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let output = success(self.command().args(args).current_dir(self.dir.path()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The name that the shared library bears: it changes when programs must be compiled again.
pub(crate) fn soname() -> String {
    match (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")) {
        ("0", minor) => format!("libkvraft.so.0.{minor}"),
        (major, _) => format!("libkvraft.so.{major}"),
    }
}

/// Lays the shared library out as an installation does: the linker finds libkvraft.so, the loader
/// finds the name that the library bears.
fn install_shared(dir: &Path) -> PathBuf {
    let lib = dir.join("lib");
    std::fs::create_dir(&lib).expect("a new directory");
    let built = library_dir().join("libkvraft.so");
    for name in ["libkvraft.so", &soname()] {
        std::os::unix::fs::symlink(&built, lib.join(name)).expect("a symbolic link");
    }
    lib
}

pub(crate) fn library_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| env::var_os(LIBRARY_DIR).map_or_else(build, PathBuf::from))
}

/// Builds the two libraries beside this test, and asks cargo where they lie: `cargo test` alone
/// builds only what a Rust test can link.
fn build() -> PathBuf {
    let mut cargo = tool("CARGO", "cargo");
    // With the tests as targets the features are those that the tests were built with, so that
    // no dependency is built twice.
    cargo.args(["build", "--package", "kvraft-ffi", "--lib", "--test", "header"]);
    cargo.arg("--message-format=json-render-diagnostics").arg("--target-dir").arg(target_dir());
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    // What cargo tells a test of its package would make build scripts below run again.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "OUT_DIR"].iter().any(|own| name.starts_with(own)) {
            cargo.env_remove(&*name);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let messages = success(&mut cargo).stdout;
    let built = messages
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter_map(|message| message.get("filenames")?.as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|file| file.ends_with("libkvraft.so"))
        .expect("cargo names the shared library that it has built");
    built.parent().expect("a file lies in a directory").to_owned()
}

/// Returns the target directory that this test was built in, however it was chosen.
fn target_dir() -> PathBuf {
    let exe = env::current_exe().expect("the path of this test");
    let target = exe.ancestors().find(|dir| dir.join("CACHEDIR.TAG").exists());
    target.expect("cargo marks its target directory").to_owned()
}

pub(crate) fn tool(variable: &str, default: &str) -> Command {
    Command::new(env::var_os(variable).unwrap_or_else(|| default.into()))
}

pub(crate) fn success(command: &mut Command) -> Output {
    let output = command.output().expect("a program that can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
