//! `Progress` is a bar on a terminal, and nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// It goes away when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// How many bytes have come, of so many if that is known.
    pub(super) fn bytes(what: &'static str, of: Option<u64>) -> Self {
        Self::new(
            what,
            of,
            "{prefix} {spinner} {bytes} {bytes_per_sec}",
            "{prefix} [{wide_bar}] {bytes}/{total_bytes} {eta}",
        )
    }

    /// How many entries are done, of so many if that is known.
    pub(super) fn entries(what: &'static str, of: Option<u64>) -> Self {
        Self::new(
            what,
            of,
            "{prefix} {spinner} {human_pos} entries {per_sec}",
            "{prefix} [{wide_bar}] {human_pos}/{human_len} entries {eta}",
        )
    }

    fn new(what: &'static str, of: Option<u64>, open: &str, bounded: &str) -> Self {
        // It draws on the standard error, and only if that is a terminal.
        let (bar, template) = match of {
            None => (ProgressBar::new_spinner(), open),
            Some(of) => (ProgressBar::new(of), bounded),
        };
        // The templates are those of this file; one that cannot be read leaves the usual style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar.with_prefix(what))
    }

    pub(super) fn add(&self, count: u64) {
        self.0.inc(count);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bar_has_a_template_that_can_be_read() {
        for text in [
            "{prefix} {spinner} {bytes} {bytes_per_sec}",
            "{prefix} [{wide_bar}] {human_pos}/{human_len} entries {eta}",
        ] {
            assert!(ProgressStyle::with_template(text).is_ok());
        }
        Progress::bytes("x", None).add(1);
        Progress::entries("x", Some(2)).add(1);
    }
}
