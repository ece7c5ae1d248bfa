//! Bad input and faults through the public interface: each has its own clear error that says what
//! to do, nothing is lost, and the host neither ends nor hangs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test that cannot go on has failed; its helpers are no interface"
)]

mod clock;
mod corruption;
mod directory;
mod disk;
mod expiry;
mod fencing;
mod garbage;
#[path = "../common/harness.rs"]
mod harness;
#[path = "../common/network.rs"]
mod network;
mod once;
#[path = "../common/process.rs"]
mod process;
mod standstill;
mod strangers;
#[path = "../common/trio.rs"]
mod trio;

/// Asserts that an error for people holds all of these words.
#[track_caller]
fn assert_says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}
