//! `Storage` is all of a node that lives on its disk.
mod env;
