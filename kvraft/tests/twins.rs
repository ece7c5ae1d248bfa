//! Whatever the map can do with async, its blocking twin can do without.
//!
//! It reads the sources as text: a public method of a type has a twin of the same name.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Types that have a twin in `blocking` under the same name.
const TWINS: &[&str] = &["ReplicatedMap", "Lease", "Lock", "TypedMap"];

/// Returns every file of a folder below `src`, and the file of its name, before their unit tests.
fn sources(room: &str) -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folder = fs::read_dir(src.join(room)).expect("a folder of sources");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.extend([src.join(format!("{room}.rs"))].into_iter().filter(|file| file.exists()));
    files
        .iter()
        .map(|file| fs::read_to_string(file).expect("a source in UTF-8"))
        .map(|text| text.split("#[cfg(test)]").next().unwrap_or_default().to_owned())
        .collect()
}

/// Returns the names of the public methods of a type, in all of its `impl` blocks.
fn methods(sources: &[String], of: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in sources.iter().flat_map(|text| text.lines()) {
        if line.starts_with("impl") {
            let name = line.rsplit("> ").next().unwrap_or(line).trim_start_matches("impl ");
            let end = name.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(name.len());
            inside = !line.contains(" for ") && &name[..end] == of;
        } else if line == "}" {
            inside = false;
        } else if let Some(rest) = line.strip_prefix("    pub ").filter(|_| inside) {
            let name = rest.split_once("fn ").map_or("", |(_, name)| name);
            found.extend(
                name.split(['(', '<']).next().filter(|name| !name.is_empty()).map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn every_public_method_has_a_twin_that_blocks() {
    let (map, blocking) = (sources("map"), sources("blocking"));
    for of in TWINS {
        let (here, there) = (methods(&map, of), methods(&blocking, of));
        assert!(here.len() >= 5, "the public methods of {of} are not found: {here:?}");
        let missing: Vec<_> = here.difference(&there).collect();
        assert!(missing.is_empty(), "blocking::{of} has no {missing:?}; add them there");
    }
}

#[test]
fn methods_are_read_as_the_compiler_reads_them() {
    let text = "impl<K, V> Map<K, V>\nwhere\n    K: Copy,\n{\n    pub async fn get(&self) {\n        \
                let pub_fn = 1;\n    }\n    fn hidden() {}\n    pub(super) fn room() {}\n    \
                pub const fn new<T>() {}\n}\n\nimpl Clone for Map {\n    pub fn no() {}\n}\n\
                impl Mapper {\n    pub fn other() {}\n}\n";
    let found = methods(&[text.to_owned()], "Map");
    assert_eq!(found, ["get", "new"].map(str::to_owned).into_iter().collect());
}
