//! `Verified` is what a check of stored bytes has found, `SetAside` what became of damaged ones.

use std::path::PathBuf;

/// What was counted, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Verified {
    /// What was counted, in the order in which it is told: a name and a number.
    pub counts: Vec<(&'static str, u64)>,
    /// Everything else that is told: a name and a text.
    pub facts: Vec<(&'static str, String)>,
    /// Every damaged thing with its place, up to a thousand of them.
    pub damage: Vec<String>,
    /// How many more there are than are named.
    pub more_damage: u64,
}

/// What became of a damaged data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetAside {
    /// Where it is now, beside where it was: `<name>.damaged-<number>`.
    pub path: PathBuf,
    /// What is damaged in it.
    pub damage: Vec<String>,
}

impl SetAside {
    pub(crate) const fn new(path: PathBuf, damage: Vec<String>) -> Self {
        Self { path, damage }
    }
}

impl Verified {
    /// Returns whether nothing is damaged.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}
