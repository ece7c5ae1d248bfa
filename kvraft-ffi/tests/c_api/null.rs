//! Every function takes `NULL` for each of its pointers, and says which it needs.

use std::fmt::Write;
use std::fs;

use crate::abi::{Function, functions};
use crate::support::{Language, Linkage, Program};

/// Where a text about what was done may be `NULL`; elsewhere it is what the call is for.
const REPORTS: [&str; 3] = ["kvraft_restore", "kvraft_recover_quorum", "kvraft_set_aside"];

/// What stands for a parameter that is not `NULL`.
struct Argument {
    /// A variable that the call writes to.
    variable: String,
    expression: String,
    /// What frees the variable.
    free: String,
}

impl Argument {
    fn new(expression: &str) -> Self {
        Self { variable: String::new(), expression: expression.into(), free: String::new() }
    }

    fn of(kind: &str, name: &str) -> Self {
        match (kind, name) {
            ("size_t", "index") => Self::new("0"),
            ("const void *", _) => Self::new("\"k\""),
            // The other one is spoilt by all that could not be added to it.
            ("const struct kvraft_txn *", _) => Self::new("the_sound_txn"),
            ("const char *", _) => Self::new("\"/no/such/thing\""),
            ("void *" | "kvraft_log_callback", _) => Self::new("NULL"),
            ("kvraft_callback", _) => Self::new("called"),
            ("struct kvraft_error **", _) => Self::new("&error"),
            _ if kind.ends_with("**") => Self::output(kind, name, "NULL"),
            _ if kind.ends_with('*') && is_output(kind) => Self::output(kind, name, "{0}"),
            _ if kind.ends_with('*') => {
                let noun = kind.trim_start_matches("const ").trim_start_matches("struct kvraft_");
                Self::new(&format!("the_{}", noun.trim_end_matches(" *")))
            }
            _ => Self::new("1"),
        }
    }

    fn output(kind: &str, name: &str, empty: &str) -> Self {
        let kind = kind.strip_suffix('*').expect("an address").trim();
        let noun = kind.trim_start_matches("struct ").trim_end_matches([' ', '*']);
        let free = match noun {
            "kvraft_map" => format!("kvraft_free({name});"),
            "kvraft_bytes" | "kvraft_entry" | "kvraft_outcome" => format!("{noun}_free(&{name});"),
            _ if kind.ends_with('*') => format!("{noun}_free({name});"),
            _ => String::new(),
        };
        let empty = if kind.starts_with("struct") { empty } else { "0" };
        let variable = format!("{kind} {name} = {empty};");
        Self { variable, expression: format!("&{name}"), free }
    }
}

/// Whether a struct is one whose fields the caller owns.
fn is_output(kind: &str) -> bool {
    !kind.starts_with("const")
        && ["bytes", "entry", "outcome", "change", "member"]
            .iter()
            .any(|noun| kind == format!("struct kvraft_{noun} *"))
        || ["uint64_t *", "int64_t *", "size_t *"].contains(&kind)
}

/// Whether the header says that a parameter may be `NULL`.
fn may_be_null(function: &str, kind: &str, name: &str) -> bool {
    match name {
        "error" | "revision" | "number" | "deleted" | "read" | "to" | "context" => true,
        "options" => kind.starts_with("const"),
        "outcome" | "result" => function != "kvraft_txn_result_outcome",
        "json" => REPORTS.contains(&function),
        _ => kind == "kvraft_log_callback",
    }
}

fn is_pointer(kind: &str) -> bool {
    kind.ends_with('*') || kind.ends_with("callback")
}

/// Writes the call of a function with `NULL` for one parameter.
fn call(function: &Function, null: usize) -> String {
    let parameters = function.parameters.iter().enumerate();
    let arguments: Vec<_> = parameters
        .map(
            |(index, (kind, name))| {
                if index == null { Argument::new("NULL") } else { Argument::of(kind, name) }
            },
        )
        .collect();
    let expressions: Vec<_> = arguments.iter().map(|it| it.expression.as_str()).collect();
    let call = format!("{}({})", function.name, expressions.join(", "));
    let mut code = String::from("    {\n        kvraft_error *error = NULL;\n");
    for argument in arguments.iter().filter(|argument| !argument.variable.is_empty()) {
        writeln!(code, "        {}", argument.variable).expect("room in a string");
    }
    let (kind, name) = function.parameters.get(null).expect("one of its parameters");
    let optional = may_be_null(&function.name, kind, name);
    let check = if optional { "optional" } else { "required" };
    let check = format!("{check}(\"{}\", \"{name}\", status_, error);", function.name);
    if function.returns == "enum kvraft_status" {
        writeln!(code, "        const enum kvraft_status status_ = {call};\n        {check}")
    } else {
        writeln!(code, "        {call};")
    }
    .expect("room in a string");
    for argument in &arguments {
        writeln!(code, "        {}", argument.free).expect("room in a string");
    }
    code + "        kvraft_error_free(error);\n    }\n"
}

#[test]
fn every_function_takes_null_for_each_of_its_pointers() {
    let mut calls = String::new();
    for function in functions() {
        for (null, (kind, name)) in function.parameters.iter().enumerate() {
            // Closing the map would end the test.
            let closes = function.name == "kvraft_close" && name == "error";
            if is_pointer(kind) && !closes {
                calls += &call(&function, null);
            }
        }
    }
    let source = include_str!("../c/null.c.in").replace("/* CALLS */", &calls);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("null.c");
    fs::write(&path, source).expect("a new file");
    let program = Program::compile(&path, Linkage::Watched, Language::C);
    program.run([program.data_dir("data"), program.data_dir("other")]);
}
