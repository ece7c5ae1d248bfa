//! Gives the shared library its name for the dynamic linker.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libkvraft.so.{}", abi());
    }
}

/// Returns the part of the version that changes when programs must be compiled again.
fn abi() -> String {
    let part = |name| env::var(name).expect("cargo sets the version for build scripts");
    match part("CARGO_PKG_VERSION_MAJOR").as_str() {
        "0" => format!("0.{}", part("CARGO_PKG_VERSION_MINOR")),
        major => major.to_owned(),
    }
}
