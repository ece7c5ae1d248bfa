//! The header is held to the code that it declares.

use std::env;
use std::fs;
use std::path::Path;

const BLESS: &str = "KVRAFT_BLESS";

/// Returns the header as cbindgen makes it now, with the version of this crate.
fn generated() -> String {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config =
        cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("a cbindgen.toml");
    config.after_includes = Some(format!(
        "\n/* The version of this header; kvraft_version gives that of the library. */\n\
         #define KVRAFT_VERSION \"{}\"\n\
         #define KVRAFT_VERSION_MAJOR {}\n\
         #define KVRAFT_VERSION_MINOR {}\n\
         #define KVRAFT_VERSION_PATCH {}",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ));
    let bindings = cbindgen::Builder::new()
        .with_crate(package)
        .with_config(config)
        .generate()
        .expect("a crate that cbindgen can read");
    let mut header = Vec::new();
    bindings.write(&mut header);
    let header = String::from_utf8(header).expect("UTF-8");
    // A renamed type is followed by a space, even if its new name is that of a pointer.
    header.replace("void * ", "void *").replace("const char * ", "const char *")
}

#[test]
fn the_committed_header_is_the_one_that_the_code_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include/kvraft.h");
    let generated = generated();
    if env::var_os(BLESS).is_some() {
        fs::write(&path, &generated).expect("a writable header");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "include/kvraft.h is out of date; run `{BLESS}=1 cargo test -p kvraft-ffi --test header` and commit it"
    );
}
