//! `Damage` lists what a check found wrong, each with its place.

use std::fmt::Display;

/// Damaged things that are named; those behind them are only counted.
const MAX_NAMED: usize = 1000;

/// What is wrong, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) named: Vec<String>,
    /// How many more there are than are named.
    pub(crate) more: u64,
}

impl Damage {
    pub(super) fn add(&mut self, place: impl Display, why: impl Display) {
        if self.named.len() < MAX_NAMED {
            self.named.push(format!("{place}: {why}"));
        } else {
            self.more += 1;
        }
    }

    /// How many damaged things there are.
    pub(super) const fn count(&self) -> u64 {
        self.named.len() as u64 + self.more
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.named.is_empty()
    }
}
