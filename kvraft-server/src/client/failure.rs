//! A `Failure` ends a command: what was tried, why it was given up, and with which exit code.

use std::fmt;

/// What a failure means for whoever ran the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer is no: there is no such key, a condition does not hold, it was refused.
    No,
    /// The request is wrong, and will be however often it is sent.
    Usage,
    /// No node could do it in time. Nothing was done.
    Unavailable,
    /// A write was sent, and nobody knows whether it was applied.
    Unknown,
    /// The token or the certificate is missing, wrong, or not for this.
    Denied,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

impl Kind {
    /// The exit codes and what they mean, as `--help` and the documents tell them.
    pub(crate) const CODES: [(u8, &'static str); 7] = [
        (0, "done"),
        (
            1,
            "the answer is no: no such key, a condition that does not hold, refused, damaged, failed",
        ),
        (2, "wrong usage, or a request that no node takes"),
        (3, "gave up: no node could do it in time, and nothing was done"),
        (
            4,
            "gave up: a write was sent, its answer was lost, and it may or may not have been applied",
        ),
        (5, "not allowed: the token or a certificate is missing, wrong, or not for this"),
        (130, "ended by Ctrl-C"),
    ];

    /// The exit code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::No => 1,
            Self::Usage => 2,
            Self::Unavailable => 3,
            Self::Unknown => 4,
            Self::Denied => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command ended without what it was to do.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// The status of the answer, if a node answered.
    pub(crate) status: Option<u16>,
    said: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, status: None, said: said.into() }
    }

    /// What is wrong with the way in which the command was called.
    pub(crate) fn usage(said: impl Into<String>) -> anyhow::Error {
        Self::new(Kind::Usage, said).into()
    }

    /// The answer is no.
    pub(crate) fn no(said: impl Into<String>) -> anyhow::Error {
        Self::new(Kind::No, said).into()
    }

    /// The failure that a node answered with.
    pub(crate) fn answered(kind: Kind, status: u16, said: String) -> Self {
        Self { kind, status: Some(status), said }
    }

    /// Adds a sentence.
    #[must_use]
    pub(crate) fn and(mut self, said: &str) -> Self {
        self.said.push_str("; ");
        self.said.push_str(said);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Failure {}

/// Finds the failure in an error that may have words around it.
pub(crate) fn of(error: &anyhow::Error) -> Option<&Failure> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// The exit code of an error; 1 if it is not one of this client.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    of(error).map_or(1, |failure| failure.kind.code())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_kind_has_a_code_that_the_table_explains() {
        let kinds = [
            Kind::No,
            Kind::Usage,
            Kind::Unavailable,
            Kind::Unknown,
            Kind::Denied,
            Kind::Interrupted,
        ];
        for kind in kinds {
            assert_eq!(Kind::CODES.iter().filter(|(code, _)| *code == kind.code()).count(), 1);
        }
        assert_eq!(Kind::CODES.len(), kinds.len() + 1);
    }

    #[test]
    fn the_code_is_found_below_other_words() {
        let error = Err::<(), _>(Failure::usage("x")).context("while it did y").unwrap_err();
        assert_eq!(code(&error), 2);
        assert_eq!(code(&anyhow::anyhow!("z")), 1);
    }
}
