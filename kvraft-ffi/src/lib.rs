//! The C interface of kvraft: `libkvraft` as `include/kvraft.h` declares it.
//!
//! A face converts, it never decides: every function takes its arguments, makes one call of the
//! core's blocking twin, converts the answer. The doc comments of the public items are written for
//! C programmers, since they become the header. The conventions are at its top (`cbindgen.toml`).
//!
//! Pointers are spelled as what they mean, which has the same bytes: `Option<&T>` is a handle that
//! may be `NULL`, `Option<Box<T>>` one that is given away, `Option<&mut MaybeUninit<T>>` an output
//! whose old bytes do not matter. Only `boundary` turns a bare address into something.

#![expect(unsafe_code, reason = "exported symbols, and the addresses that C hands over")]
#![expect(non_camel_case_types, reason = "a type has one name, in C and here")]

pub mod boundary;
pub mod bytes;
pub mod config;
pub mod error;
pub mod map;
pub mod node;
pub mod status;
pub mod version;
