//! The rules of the house, held by a test: who may look at whom, which library lives where.
//!
//! It reads the sources as text, without comments and without test code. The tables below are the
//! rules; ARCHITECTURE.md tells them as a story. A new arrow is a change worth its own commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Room -> the rooms that it may look at. Each looks only at rooms above it in this table.
const ARROWS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("codec", &[]),
    ("versions", &[]),
    ("environment", &["versions"]),
    ("command", &["codec", "versions"]),
    ("raft", &["command", "error"]),
    ("record", &["codec", "command", "raft"]),
    ("identity", &["codec", "command", "raft", "record"]),
    ("durations", &[]),
    ("metrics", &["durations"]),
    ("options", &["command", "error"]),
    ("status", &["error"]),
    ("config", &["command", "environment", "error", "options"]),
    // The two wings never look at each other.
    (
        "storage",
        &[
            "codec",
            "command",
            "config",
            "durations",
            "environment",
            "error",
            "identity",
            "raft",
            "record",
            "versions",
        ],
    ),
    (
        "transport",
        &[
            "codec",
            "command",
            "config",
            "environment",
            "error",
            "identity",
            "options",
            "raft",
            "record",
            "versions",
        ],
    ),
    ("runtime", &["error"]),
    ("proposal", &["command", "environment", "error", "identity", "options", "raft", "transport"]),
    (
        "client",
        &[
            "command",
            "config",
            "environment",
            "error",
            "identity",
            "options",
            "proposal",
            "raft",
            "runtime",
            "status",
            "transport",
            "versions",
        ],
    ),
    (
        "node",
        &[
            "command",
            "config",
            "environment",
            "error",
            "identity",
            "metrics",
            "options",
            "proposal",
            "raft",
            "record",
            "runtime",
            "status",
            "storage",
            "transport",
            "versions",
        ],
    ),
    ("offline", &["config", "environment", "error", "identity", "options", "storage"]),
    (
        "map",
        &[
            "client", "command", "config", "error", "metrics", "node", "options", "proposal",
            "status",
        ],
    ),
    ("blocking", &["config", "error", "map", "metrics", "options", "status"]),
    ("lib", &["config", "error", "map", "metrics", "offline", "options", "status"]),
];

/// Library -> the only files or folders that may name it, so that it can be changed there.
const FOREIGNERS: &[(&str, &[&str])] = &[
    ("heed", &["storage/"]),
    ("quinn", &["transport/", "environment.rs"]),
    ("rustls", &["transport/", "environment.rs"]),
    ("rcgen", &["transport/"]),
    ("openraft", &["raft.rs", "record.rs", "storage/", "transport/network.rs", "node/"]),
    ("axum", &[]),
    ("hyper", &[]),
    ("pyo3", &[]),
    ("libc", &[]),
];

/// What must not be written, where it may be all the same, and why not elsewhere.
const WORDS: &[(&str, &[&str], &str)] = &[
    ("SystemTime::now", &["environment.rs"], "take wall time from the injected clock"),
    ("unsafe", &["storage/env.rs"], "only the opening of LMDB needs it"),
    ("thread::sleep", &[], "wait on a condition with a deadline"),
    ("unbounded_channel", &[], "every queue has a bound"),
    ("process::exit", &[], "the process belongs to the host"),
    ("process::abort", &[], "the process belongs to the host"),
];

/// Files that run alike on every replica, so that they must not see anything that differs there.
const REPLICATED: &[&str] =
    &["command/", "storage/apply", "storage/buffer.rs", "storage/session.rs"];

/// What differs from replica to replica.
const SURPRISES: &[&str] =
    &["Instant", "SystemTime", "HashMap", "HashSet", "Random", "f32", "f64", "env::var"];

/// Most lines of a file, its tests aside.
const MAX_LINES: usize = 400;

/// Crates beside this one that keep the rules of form too.
const FACES: &[&str] = &["kvraft-ffi", "kvraft-py", "kvraft-server", "bench"];

/// Files of the core that may be longer, up to how many lines, and why.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// A file of the crate as the rules see it.
struct Source {
    /// Path below `src`.
    path: String,
    /// The whole text.
    text: String,
    /// How many lines stand before the unit tests.
    lines: usize,
    /// Those lines without comments.
    code: String,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let production = production(&text);
        let code = without_comments(production);
        let lines = production.lines().count();
        Self { path, lines, code, text }
    }

    /// Modules from the root of the crate to this file.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').filter(|module| *module != "lib").collect()
    }

    fn room(&self) -> &str {
        self.modules().first().copied().unwrap_or("lib")
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| {
            if place.ends_with('/') { self.path.starts_with(place) } else { self.path == *place }
        })
    }

    /// Returns what follows each whole-word occurrence of `word` in the code.
    fn after<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a str> {
        after(&self.code, word)
    }

    fn says(&self, word: &str) -> bool {
        self.after(word).next().is_some()
    }
}

/// Returns the part of a file before its unit tests.
fn production(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests").map_or(text, |end| &text[..end])
}

/// Takes comments out. The only other double slashes of this crate are those of URLs.
fn without_comments(text: &str) -> String {
    text.lines().fold(String::new(), |mut code, line| {
        let end = line.find("//").filter(|at| !line[..*at].ends_with(':')).unwrap_or(line.len());
        writeln!(code, "{}", &line[..end]).expect("a string takes all text");
        code
    })
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

fn after<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(word).filter_map(|(at, found)| {
        let rest = &code[at + found.len()..];
        let begins = !code[..at].ends_with(is_word);
        let ends = !found.ends_with(is_word) || !rest.starts_with(is_word);
        (begins && ends).then_some(rest)
    })
}

/// Returns the name that `text` begins with; empty if it begins with none.
fn first_name(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|letter| !is_word(letter)).unwrap_or(text.len())]
}

/// Returns the first name of each path that `text` begins with: of one, or of all in `{…}`.
fn heads(text: &str) -> Vec<&str> {
    let Some(group) = text.strip_prefix('{') else {
        return vec![first_name(text)];
    };
    let (mut depth, mut found) = (0_usize, vec![first_name(group)]);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

/// Returns the names directly under the root of the crate that a file looks at.
fn root_names(source: &Source) -> BTreeSet<&str> {
    let mut names: BTreeSet<&str> = source.after("crate::").flat_map(heads).collect();
    let depth = source.modules().len();
    for mut rest in source.after("super::") {
        let mut climbed = 1;
        while let Some(next) = rest.strip_prefix("super::") {
            (rest, climbed) = (next, climbed + 1);
        }
        if climbed == depth {
            names.extend(heads(rest));
        }
    }
    names
}

/// Returns the room that each name in `pub use` of the root comes from.
fn exports(root: &Source) -> BTreeMap<&str, &str> {
    let mut found = BTreeMap::new();
    for statement in root.after("pub use") {
        if let Some((room, names)) = statement.trim_start().split_once("::") {
            found.extend(heads(names).into_iter().map(|name| (name, room)));
        }
    }
    found
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of that folder").path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns every file of the core, but those that hold only tests.
fn sources() -> Vec<Source> {
    sources_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

/// Returns every file of the faces, but those that hold only tests, under the name of its crate.
fn sources_of_faces() -> Vec<Source> {
    let mut found = Vec::new();
    for face in FACES {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(face).join("src");
        for source in sources_below(&src) {
            found.push(Source { path: format!("{face}/src/{}", source.path), ..source });
        }
    }
    found
}

fn sources_below(src: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    files_below(src, &mut files);
    files.sort();
    let read = |file: &PathBuf| {
        let path = file.strip_prefix(src).expect("a file below the sources");
        let text = fs::read_to_string(file).expect("a source in UTF-8");
        Source::new(path.to_string_lossy().into_owned(), text)
    };
    let mut all: Vec<Source> = files.iter().map(read).collect();
    let tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    all.retain(|source| !tests.iter().any(|module| source.path.starts_with(module)));
    all
}

/// Returns how the paths of the modules begin that a file declares for tests only.
fn test_modules(source: &Source) -> Vec<String> {
    let below = source.modules();
    let beside = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for rest in after(&source.text, "#[cfg(test)]") {
        let mut lines = rest.trim_start().lines();
        let first = lines.next().unwrap_or_default();
        if let Some(file) = first.strip_prefix("#[path = \"") {
            found.push(format!("{beside}/{}", file.trim_end_matches("\"]")));
        } else if let Some((_, name)) = first.trim_end_matches(';').rsplit_once("mod ") {
            let path = [below.as_slice(), &[name]].concat().join("/");
            found.extend([format!("{path}.rs"), format!("{path}/")]);
        }
    }
    found
}

/// Fails with all faults at once, each on a line of its own.
fn refuse(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "\n{rule}\n  {}\n", faults.join("\n  "));
}

#[test]
fn a_room_looks_only_where_its_arrows_point() {
    let sources = sources();
    let root = sources.iter().find(|source| source.path == "lib.rs").expect("lib.rs");
    let exports = exports(root);
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    for source in &sources {
        let room = source.room();
        let Some(allowed) = arrows.get(room) else {
            faults.push(format!("{}: the room {room} has no line in ARROWS", source.path));
            continue;
        };
        for name in root_names(source) {
            let target = exports.get(name).copied().unwrap_or(name);
            if target != room && arrows.contains_key(target) && !allowed.contains(&target) {
                faults.push(format!("{}: {room} may not look at {target}", source.path));
            }
        }
    }
    refuse("Arrows between rooms (ARROWS in this file):", &faults);
}

#[test]
fn arrows_go_only_down_the_stair() {
    let mut faults = Vec::new();
    for (step, (room, targets)) in ARROWS.iter().enumerate() {
        for target in *targets {
            if !ARROWS[..step].iter().any(|(lower, _)| lower == target) {
                faults.push(format!("{room} -> {target}, which does not stand above it"));
            }
        }
    }
    refuse("ARROWS is no stair:", &faults);
}

#[test]
fn a_foreign_library_is_named_only_in_its_rooms() {
    let mut faults = Vec::new();
    for source in sources() {
        for (library, places) in FOREIGNERS {
            let named =
                source.says(&format!("{library}::")) || source.says(&format!("use {library}"));
            if named && !source.is_in(places) {
                faults.push(format!("{}: {library} belongs to {places:?}", source.path));
            }
        }
    }
    refuse("Foreign libraries stop at the door (FOREIGNERS in this file):", &faults);
}

#[test]
fn a_file_says_first_what_it_is() {
    let faults: Vec<String> = sources()
        .iter()
        .chain(&sources_of_faces())
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: does not begin with a `//!` sentence", source.path))
        .collect();
    refuse("One room, one noun:", &faults);
}

#[test]
fn a_file_is_short_enough_to_be_read_in_one_go() {
    let mut faults = Vec::new();
    for source in sources().into_iter().chain(sources_of_faces()) {
        let exception = LONG_FILES.iter().find(|(path, ..)| *path == source.path);
        let most = exception.map_or(MAX_LINES, |(_, lines, _)| *lines);
        if source.lines > most {
            faults.push(format!("{}: {} lines, at most {most}", source.path, source.lines));
        } else if exception.is_some() && source.lines <= MAX_LINES {
            faults.push(format!("{}: short again, strike it from LONG_FILES", source.path));
        }
    }
    refuse("Length of files, tests aside:", &faults);
}

#[test]
fn what_a_library_must_not_do_is_not_written() {
    let mut faults = Vec::new();
    for source in sources() {
        for (word, places, instead) in WORDS {
            if source.says(word) && !source.is_in(places) {
                faults.push(format!("{}: `{word}`: {instead}", source.path));
            }
        }
    }
    refuse("Words (WORDS in this file):", &faults);
}

#[test]
fn nothing_that_replicas_apply_can_differ_between_them() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| source.is_in(REPLICATED)) {
        for word in SURPRISES.iter().filter(|word| source.says(word)) {
            faults.push(format!("{}: `{word}` is not the same on all replicas", source.path));
        }
    }
    refuse("Apply decides only from replicated state:", &faults);
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let text = "use crate::error::{Error, Result};\nuse crate::{codec::{A, B}, raft::Vote,\n};\n\
                use super::super::command::Command;\nuse super::env::Env;\nlet x = crate::map::f();\n\
                // crate::status\nlet url = \"https://a\";\n#[cfg(test)]\nmod tests {use crate::node;}\n";
    let source = Source::new("storage/log.rs".to_owned(), text.to_owned());
    let expected = ["codec", "command", "error", "map", "raft"];
    assert_eq!(root_names(&source), expected.into_iter().collect());
    assert!(source.code.contains("https://a"));
    assert_eq!(source.room(), "storage");
}

#[test]
fn names_of_the_root_are_traced_to_their_rooms() {
    let text = "pub use bytes::Bytes;\npub use map::ReplicatedMap;\npub use options::{\n    Entry, Page,\n};\n";
    let root = Source::new("lib.rs".to_owned(), text.to_owned());
    assert_eq!(root.room(), "lib");
    assert_eq!(exports(&root).get("ReplicatedMap"), Some(&"map"));
    assert_eq!(exports(&root).get("Page"), Some(&"options"));
}

#[test]
fn files_for_tests_only_are_left_alone() {
    let text = "#[cfg(test)]\npub(crate) mod fixtures;\n\
                #[cfg(test)]\n#[path = \"log_tests.rs\"]\nmod tests;\n";
    let source = Source::new("storage/log.rs".to_owned(), text.to_owned());
    let expected = ["storage/log/fixtures.rs", "storage/log/fixtures/", "storage/log_tests.rs"];
    assert_eq!(test_modules(&source), expected);
}
