//! kvraft.
mod codec;
mod command;
pub mod environment;
mod error;
mod identity;
mod raft;
mod record;
mod storage;
mod transport;
pub use error::{Error, ErrorKind, Result};
