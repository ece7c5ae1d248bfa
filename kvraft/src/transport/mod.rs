//! `Transport` is all of a node that speaks QUIC.

mod client;
mod message;
mod server;
mod wire;
