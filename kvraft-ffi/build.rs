//! Tells the linker what the shared library is called, and that it stays once it is loaded.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libkvraft.so.{}", abi());
        // Its threads outlive every map: a program that lets go of the library must not take their
        // code away.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
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
