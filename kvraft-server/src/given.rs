//! `Given` is what all sources of settings say together, and what was found to be wrong with it.

use std::collections::BTreeMap;

use anyhow::{Error, Result, anyhow};

use crate::layers::{self, Layer};

/// The values of settings, each with the source that has won.
#[derive(Debug, Default)]
pub(crate) struct Given {
    values: Layer,
    sources: BTreeMap<String, String>,
    faults: Vec<Error>,
}

impl Given {
    /// Puts a layer below those that are there; `source` names where it has a setting from.
    pub(crate) fn below(&mut self, lower: Layer, source: impl Fn(&str) -> String) {
        let values = layers::over(std::mem::take(&mut self.values), lower);
        for name in values.keys() {
            self.sources.entry(name.clone()).or_insert_with(|| source(name));
        }
        self.values = values;
    }

    /// Returns the values of a setting; several add up only for secrets.
    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns where a setting comes from, if it was given.
    pub(crate) fn source(&self, name: &str) -> Option<&str> {
        self.sources.get(name).map(String::as_str)
    }

    /// Takes a setting out. A value that cannot be read is a fault, and counts as not given.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str, &str) -> Result<T>,
    ) -> Option<T> {
        let values = self.values.remove(name).unwrap_or_default();
        match parse(name, values.last()?.trim()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(error);
                None
            }
        }
    }

    /// Takes what is left.
    pub(crate) fn rest(&mut self) -> Layer {
        std::mem::take(&mut self.values)
    }

    /// Notes what is wrong; everything else is still looked at.
    pub(crate) fn fault(&mut self, error: impl Into<Error>) {
        self.faults.push(error.into());
    }

    /// Says whether anything was found to be wrong.
    pub(crate) const fn is_faultless(&self) -> bool {
        self.faults.is_empty()
    }

    /// Fails with every fault.
    pub(crate) fn check(mut self) -> Result<()> {
        match (self.faults.pop(), self.faults.as_slice()) {
            (None, _) => Ok(()),
            (Some(only), []) => Err(only),
            (Some(last), others) => {
                let told = others.iter().chain([&last]).map(|fault| format!("\n  {fault:#}"));
                let faults = told.collect::<String>();
                Err(anyhow!("{} settings are wrong:{faults}", others.len() + 1))
            }
        }
    }
}

#[cfg(test)]
impl Given {
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
        let mut given = Self::default();
        given.below(pairs.iter().map(pair).collect(), |_| "test".to_owned());
        given
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn the_first_source_wins_and_is_named() {
        let mut given = Given::of(&[("name", "a")]);
        let lower = [("name", "b"), ("listen", "x")];
        let lower = lower.map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
        given.below(lower.into(), |name| format!("file: {name}"));
        assert_eq!(
            (given.values("name"), given.source("name")),
            (&["a".to_owned()][..], Some("test"))
        );
        assert_eq!(given.source("listen"), Some("file: listen"));
        assert_eq!((given.values("other").len(), given.source("other")), (0, None));
    }

    #[test]
    fn every_fault_is_told() {
        let wrong = |name: &str, _: &str| -> Result<()> { bail!("{name} is wrong") };
        let mut given = Given::of(&[("a", "1"), ("b", "2")]);
        assert!(given.take("a", wrong).is_none() && !given.is_faultless());
        let mut both = Given::of(&[("a", "1"), ("b", "2")]);
        assert!(both.take("a", wrong).is_none() && both.take("b", wrong).is_none());
        assert_eq!(given.check().unwrap_err().to_string(), "a is wrong");
        let told = both.check().unwrap_err().to_string();
        assert_eq!(told, "2 settings are wrong:\n  a is wrong\n  b is wrong");
        assert!(Given::default().check().is_ok());
    }
}
