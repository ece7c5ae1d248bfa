//! C programs show that the library keeps what its header says.

mod abi;
mod mixed;
mod null;
mod outside;
mod package;
mod support;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;

use serde::Deserialize;
use support::{Language, Linkage, Program};

/// How the programs are linked; the watched ones are static as well.
const LINKAGES: [Linkage; 2] = [Linkage::Shared, Linkage::Watched];

#[test]
fn a_c_program_reads_what_it_wrote_also_after_a_restart() {
    for linkage in [Linkage::Shared, Linkage::Static, Linkage::Watched] {
        let program = Program::of("round_trip", linkage, Language::C);
        program.run([program.data_dir("data")]);
    }
}

#[test]
fn a_cxx_program_does_the_same_with_the_same_header() {
    let program = Program::of("round_trip", Linkage::Shared, Language::Cxx);
    program.run([program.data_dir("data")]);
}

#[test]
fn every_misuse_is_answered_with_what_is_wrong() {
    for linkage in LINKAGES {
        let program = Program::of("misuse", linkage, Language::C);
        program.run([program.data_dir("data")]);
    }
}

#[test]
fn a_forked_child_is_refused_and_harms_nothing() {
    for linkage in LINKAGES {
        let program = Program::of("fork", linkage, Language::C);
        program.run([program.data_dir("parent"), program.data_dir("child")]);
    }
}

#[test]
fn closing_lets_go_of_threads_that_wait() {
    for linkage in LINKAGES {
        let program = Program::of("close_while_waiting", linkage, Language::C);
        program.run([program.data_dir("data")]);
    }
}

#[test]
fn values_are_written_under_conditions_counted_scanned_and_changed_together() {
    watched_and_shared("values", &["data"]);
}

#[test]
fn a_watch_is_waited_for_by_threads_and_by_event_loops() {
    watched_and_shared("watch", &["data"]);
}

#[test]
fn leases_and_locks_end_what_belongs_to_them() {
    watched_and_shared("locks", &["data"]);
}

#[test]
fn a_callback_is_called_once_whatever_becomes_of_its_call() {
    watched_and_shared("calls", &["data", "lonely"]);
}

#[test]
fn operators_look_compare_back_up_restore_and_recover() {
    watched_and_shared("operate", &["data", "backup", "restored", "recovered"]);
}

#[test]
fn signals_are_the_programs_own() {
    watched_and_shared("signals", &["data"]);
}

#[test]
fn a_library_that_was_loaded_at_run_time_stays_when_it_is_let_go_of() {
    let program = Program::of("plugin", Linkage::Shared, Language::C);
    let library = support::library_dir().join("libkvraft.so");
    program.run([library, program.data_dir("data")]);
}

#[test]
fn eight_threads_use_one_map_at_once() {
    for linkage in LINKAGES {
        let program = Program::of("threads", linkage, Language::C);
        program.run([program.data_dir("data").as_os_str(), "100".as_ref()]);
    }
}

#[test]
fn what_the_library_says_is_told_a_callback() {
    watched_and_shared("log", &["data"]);
}

#[test]
fn every_status_is_reached_that_is_no_bug() {
    for linkage in LINKAGES {
        let program = Program::of("statuses", linkage, Language::C);
        let dirs = ["single", "restored", "backup", "a", "b"].map(|name| program.data_dir(name));
        let [a, b, _] = mixed::free_addresses();
        let members = format!("a={a},b={b}");
        program.run(dirs.into_iter().map(OsString::from).chain([a, b, members].map(Into::into)));
    }
}

/// Runs a program with paths in its own directory, linked in both ways.
fn watched_and_shared(name: &str, paths: &[&str]) {
    for linkage in LINKAGES {
        let program = Program::of(name, linkage, Language::C);
        program.run(paths.iter().map(|path| program.data_dir(path)));
    }
}

#[derive(Deserialize)]
struct Table {
    error: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    kind: String,
    c: i32,
}

#[test]
fn every_error_has_the_code_and_the_name_of_the_shared_table() {
    let table: Table =
        toml::from_str(include_str!("../../../kvraft/testdata/errors.toml")).expect("a table");
    let mut source = String::from("#include \"check.h\"\n\nint main(void)\n{\n");
    for Row { kind, c } in &table.error {
        let constant = kind.to_uppercase();
        writeln!(source, "    CHECK(KVRAFT_{constant} == {c});").expect("room in a string");
        writeln!(source, "    CHECK(strcmp(kvraft_status_name({c}), \"{kind}\") == 0);")
            .expect("room in a string");
    }
    let beyond = table.error.len() + 1;
    writeln!(source, "    CHECK(strcmp(kvraft_status_name({beyond}), \"unknown\") == 0);")
        .expect("room in a string");
    source.push_str("    CHECK(KVRAFT_OK == 0 && KVRAFT_NOT_FOUND == -1);\n    return 0;\n}\n");

    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("codes.c");
    fs::write(&path, source).expect("a new file");
    for linkage in LINKAGES {
        Program::compile(&path, linkage, Language::C).run([""; 0]);
    }
}

#[test]
fn the_example_in_the_header_does_what_it_shows() {
    let header = include_str!("../../../include/kvraft.h");
    let (_, rest) = header.split_once("The life of a map\n").expect("an example");
    let (example, _) = rest.split_once(" *\n * Errors.").expect("an end of the example");
    let lines: String =
        example.lines().map(|line| line.trim_start_matches(" *").to_owned() + "\n").collect();
    let source = format!(
        "#include <stdio.h>\n#include \"kvraft.h\"\n\nint main(void)\n{{\n{lines}    return 0;\n}}\n"
    );
    assert_eq!(said_by(&source, Language::C), "hello\n");
}

#[test]
fn the_examples_in_the_readme_do_what_they_show() {
    let readme = include_str!("../../../README.md");
    let example = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).expect("an example");
        rest.split_once("```").expect("an end of the example").0
    };
    let source = format!(
        "#include \"check.h\"\n\nint main(void)\n{{\n    kvraft_map *map = open_at(\"data\");\n{}\
         \x20   CHECK(revision > 0 && kvraft_close(map, NULL) == KVRAFT_OK);\n\
         \x20   kvraft_free(map);\n    return 0;\n}}\n",
        example("c")
    );
    assert_eq!(said_by(&source, Language::C), "");
    let source = format!(
        "#include <iostream>\n#include \"kvraft.hpp\"\n\nint main()\n{{\n{}}}\n",
        example("cpp")
    );
    assert_eq!(said_by(&source, Language::Cxx), "greeting\n");
}

/// Compiles a text and runs it in a directory of its own.
fn said_by(source: &str, language: Language) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("example");
    fs::write(&path, source).expect("a new file");
    Program::compile(&path, Linkage::Shared, language).run([""; 0])
}

#[test]
fn the_cxx_wrapper_has_every_function() {
    let wrapper = include_str!("../../../include/kvraft.hpp");
    let words: BTreeSet<_> =
        wrapper.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    // What an outcome has is taken out of it, which leaves nothing to free.
    let missing: Vec<_> = abi::functions()
        .into_iter()
        .map(|function| function.name)
        .filter(|name| name != "kvraft_outcome_free" && !words.contains(name.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_headers_give_no_warning_to_those_who_ask_for_all() {
    const ASKED: [&str; 8] = [
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Wshadow",
        "-Wconversion",
        "-Wold-style-cast",
        "-Wnon-virtual-dtor",
        "-Werror",
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../include");
    // Two files with all of it make one program.
    let (one, other) = (dir.path().join("one.cpp"), dir.path().join("other.cpp"));
    fs::write(
        &one,
        "#include \"kvraft.hpp\"\nint main() { return kvraft::version() == nullptr; }\n",
    )
    .expect("a new file");
    fs::write(
        &other,
        "#include \"kvraft.hpp\"\nvoid other() { kvraft::set_log_callback(nullptr); }\n",
    )
    .expect("a new file");
    for standard in ["-std=c++17", "-std=c++20"] {
        let mut compiler = support::tool("CXX", "g++");
        compiler.args([standard, "-I", include]).args(ASKED).args([&one, &other]);
        compiler.arg("-o").arg(dir.path().join("program"));
        compiler.arg(support::library_dir().join("libkvraft.so"));
        support::success(&mut compiler);
    }
}

#[test]
fn the_cxx_wrapper_does_the_same_and_throws_what_goes_wrong() {
    for linkage in LINKAGES {
        let program = Program::of("wrapper", linkage, Language::Cxx);
        program.run([program.data_dir("data")]);
    }
}
