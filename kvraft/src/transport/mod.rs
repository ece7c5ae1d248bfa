//! `Transport` is all of a node that speaks QUIC.
