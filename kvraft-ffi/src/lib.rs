//! The C interface of kvraft: `libkvraft` as `include/kvraft.h` declares it.
//!
//! A face converts, it never decides: every function takes its arguments, makes one call of the
//! core, converts the answer. The doc comments of the public items are written for
//! C programmers, since they become the header. The conventions are at its top (`cbindgen.toml`).
//!
//! Pointers are spelled as what they mean, which has the same bytes: `Option<&T>` is a handle that
//! may be `NULL`, `Option<Box<T>>` one that is given away, `Option<&mut MaybeUninit<T>>` an output
//! whose old bytes do not matter. Only `boundary` turns a bare address into something.

#![expect(unsafe_code, reason = "exported symbols, and the addresses that C hands over")]
#![expect(non_camel_case_types, reason = "a type has one name, in C and here")]

pub mod asynchronous;
pub mod backup;
mod bell;
pub mod boundary;
pub mod bytes;
pub mod callback;
pub mod client_config;
pub mod config;
pub mod entry;
pub mod error;
mod fork;
mod held;
pub mod integrity;
pub mod lease;
pub mod lease_info;
pub mod lock;
pub mod log;
pub mod map;
pub mod members;
pub mod metrics;
pub mod node;
pub mod node_status;
pub mod offline;
pub mod outcome;
pub mod page;
pub mod range;
pub mod read;
pub mod read_options;
pub mod scan;
pub mod scan_options;
mod shared;
mod signals;
pub mod status;
mod stop;
mod tasks;
pub mod txn;
pub mod txn_result;
pub mod version;
pub mod watch;
pub mod watch_event;
pub mod watch_options;
pub mod write;
pub mod write_options;
