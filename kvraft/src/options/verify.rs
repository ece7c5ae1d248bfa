//! `Verified` is what a check of stored bytes has found.

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

impl Verified {
    /// Returns whether nothing is damaged.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }
}
