//! Backups of nodes at work, and the clusters that are made of them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    dead_code,
    reason = "a test that cannot go on has failed; its helpers are no interface"
)]

mod golden;
#[path = "../common/harness.rs"]
mod harness;
#[path = "../common/network.rs"]
mod network;
mod recover;
mod restore;
mod support;
mod take;
mod verify;
