//! Whole clusters in one process, on loopback, through the public interface.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that cannot go on has failed; its helpers are no interface"
)]

mod blocking;
mod bootstrap;
mod client;
mod election;
#[path = "../common/growth.rs"]
mod growth;
#[path = "../common/harness.rs"]
mod harness;
mod integrity;
mod lease;
mod lock;
mod membership;
mod metrics;
#[path = "../common/network.rs"]
mod network;
mod partition;
mod replication;
mod rolling;
mod single;
mod snapshot;
mod unfinished;
mod versions;
mod watch;
mod wiped;
mod write;
