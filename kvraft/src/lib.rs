//! An ordered map from bytes to bytes that lives inside your process and survives the loss of machines.

pub mod blocking;
mod codec;
mod command;
mod config;
#[doc(hidden)]
pub mod environment;
mod error;
mod identity;
mod map;
mod metrics;
mod node;
mod options;
mod raft;
mod record;
mod status;
mod storage;
mod transport;

pub use bytes::Bytes;

pub use config::{Config, Insecure};
pub use error::{Error, ErrorKind, Result};
pub use map::ReplicatedMap;
pub use metrics::Metrics;
pub use options::{
    Consistency, Deleted, Entry, KeyRange, Page, Put, ReadOptions, ScanOptions, WriteOptions,
};
pub use status::{MemberStatus, Role, Status};

/// The Rust examples of the README are compiled and run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
