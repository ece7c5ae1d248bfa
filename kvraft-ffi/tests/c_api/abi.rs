//! The binary interface is what it was, and takes `NULL` everywhere.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{success, tool};

/// A function that the header declares.
pub(crate) struct Function {
    pub(crate) name: String,
    /// As it is declared, without the semicolon.
    declaration: String,
    /// The type of each parameter with its name.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) returns: String,
}

fn header() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/kvraft.h")
}

/// Returns the functions that the header declares.
pub(crate) fn functions() -> Vec<Function> {
    let text = fs::read_to_string(header()).expect("a header");
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//") && !line.starts_with('#'))
        .fold(String::new(), |code, line| code + line.trim() + " ");
    let (_, functions) = code.split_once("extern \"C\" {").expect("the functions");
    functions.split(';').filter_map(function).collect()
}

fn function(declaration: &str) -> Option<Function> {
    let declaration = declaration.trim();
    let (before, after) = declaration.split_once('(')?;
    let at = before.rfind("kvraft_")?;
    let parameters = after.trim_end_matches(')').split(',').map(str::trim);
    let parameters = parameters.filter(|parameter| *parameter != "void").map(|parameter| {
        let at = parameter.rfind([' ', '*']).expect("a type and a name") + 1;
        (parameter[..at].trim().to_owned(), parameter[at..].to_owned())
    });
    Some(Function {
        name: before[at..].to_owned(),
        returns: before[..at].trim().to_owned(),
        parameters: parameters.collect(),
        declaration: declaration.to_owned(),
    })
}

#[test]
fn the_binary_interface_is_the_committed_one() {
    // The types of C are those of the header: what the library itself shows of them is Rust's.
    let dir = tempfile::tempdir().expect("a directory");
    let mut source = String::from("#include <stdlib.h>\n#include \"kvraft.h\"\n");
    for function in functions() {
        writeln!(source, "{} {{ abort(); }}", function.declaration).expect("room in a string");
    }
    let file = dir.path().join("interface.c");
    fs::write(&file, source).expect("a new file");
    let library = dir.path().join("libkvraft.so");
    let mut compiler = tool("CC", "cc");
    compiler.args(["-std=c99", "-g", "-fPIC", "-shared", "-I"]).arg(header().with_file_name(""));
    success(compiler.arg(&file).arg("-o").arg(&library));

    let version = fs::read_to_string(header()).expect("a header");
    let (_, version) = version.split_once("#define KVRAFT_ABI_VERSION ").expect("a version");
    let version = version.lines().next().expect("a number");
    let baseline = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("abi/{version}.xml"));
    let write = |to: &Path| {
        let mut abidw = Command::new("abidw");
        abidw.args([
            "--no-corpus-path",
            "--no-comp-dir-path",
            "--no-show-locs",
            "--drop-undefined-syms",
        ]);
        success(abidw.arg("--out-file").arg(to).arg(&library));
    };
    if !baseline.exists() && env::var_os("KVRAFT_BLESS").is_some() {
        write(&baseline);
    }
    let output = Command::new("abidiff").arg(&baseline).arg(&library).output().expect("abidiff");
    let said = String::from_utf8_lossy(&output.stdout);
    let code = output.status.code().expect("an end of its own");
    assert!(
        code & 0b1011 == 0,
        "programs that were compiled before would not work any more: undo it, or raise \
         KVRAFT_ABI_VERSION and the minor version\n{said}"
    );
    if code != 0 && env::var_os("KVRAFT_BLESS").is_some() {
        write(&baseline);
        return;
    }
    assert!(code == 0, "commit what KVRAFT_BLESS=1 makes of {}\n{said}", baseline.display());
}
