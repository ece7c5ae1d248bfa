//! Whole clusters in one process, on loopback, through the public interface.

mod bootstrap;
mod election;
mod harness;
mod network;
mod partition;
mod replication;
mod single;
