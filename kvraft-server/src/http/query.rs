//! `Query` holds the parameters of a request's query string, of which none is ever ignored.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use kvraft::{Consistency, KeyRange, LeaseId, ReadOptions, WriteOptions};

use super::id;
use super::problem::Problem;

/// Longest timeout of one request: no client waits longer, and a deadline stays a real instant.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The parameters of one request, decoded to bytes.
#[derive(Debug, Clone)]
pub(crate) struct Query(BTreeMap<String, Vec<u8>>);

impl Query {
    /// Takes a query string apart. A parameter that is not in `known` is a mistake.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                return Err(Problem::invalid(format!(
                    "query parameter {name:?} is unknown; known are {}",
                    known.join(", ")
                )));
            }
            // Form encoding, as every library writes it: a plus is a blank.
            let value = id::decode(&value.replace('+', "%20"))?;
            if found.insert(name.to_owned(), value).is_some() {
                return Err(Problem::invalid(format!("query parameter {name:?} is given twice")));
            }
        }
        Ok(Self(found))
    }

    /// The raw bytes of a parameter.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Whether a switch is on: given bare, or as true.
    pub(crate) fn switch(&self, name: &str) -> Result<bool, Problem> {
        match self.bytes(name) {
            None | Some(b"false" | b"0") => Ok(false),
            Some(b"" | b"true" | b"1") => Ok(true),
            Some(_) => Err(Problem::invalid(format!("{name} is neither true nor false"))),
        }
    }

    /// A parameter that is a number.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let wrong = || Problem::invalid(format!("{name} is not a number in range"));
        self.text(name)?.map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// What a read asks for.
    pub(crate) fn read_options(&self) -> Result<ReadOptions, Problem> {
        let mut options = ReadOptions::new();
        if let Some(consistency) = self.consistency()? {
            options = options.consistency(consistency);
        }
        if let Some(revision) = self.number("min_revision")? {
            options = options.min_revision(revision);
        }
        if let Some(timeout) = self.timeout()? {
            options = options.timeout(timeout);
        }
        Ok(options)
    }

    /// How fresh a read is to be, if it says so.
    pub(crate) fn consistency(&self) -> Result<Option<Consistency>, Problem> {
        Ok(self.text("consistency")?.map(str::parse).transpose()?)
    }

    /// What a write asks for.
    pub(crate) fn write_options(&self) -> Result<WriteOptions, Problem> {
        Ok(self
            .timeout()?
            .map_or_else(WriteOptions::new, |timeout| WriteOptions::new().timeout(timeout)))
    }

    /// What limits the life of a value that is put.
    pub(crate) fn life(&self, options: WriteOptions) -> Result<WriteOptions, Problem> {
        Ok(match (self.duration("ttl")?, self.lease()?) {
            (None, None) => options,
            (Some(ttl), None) => options.ttl(ttl),
            (None, Some(lease)) => options.lease(lease),
            (Some(_), Some(_)) => {
                return Err(Problem::invalid("ttl and lease exclude each other; give one"));
            }
        })
    }

    /// The id of a lease.
    pub(crate) fn lease(&self) -> Result<Option<LeaseId>, Problem> {
        Ok(self.text("lease")?.map(str::parse).transpose()?)
    }

    /// A span of time, such as 10s; the map knows which are possible.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        humantime::parse_duration(text).map(Some).map_err(|_| {
            Problem::invalid(format!("{name} {text:?} is not a duration, such as 10s"))
        })
    }

    /// How long to wait at most, up to ten minutes.
    pub(crate) fn wait(&self) -> Result<Option<Duration>, Problem> {
        match self.duration("wait")? {
            Some(wait) if wait > MAX_TIMEOUT => Err(Problem::invalid("wait is at most 10min")),
            wait => Ok(wait),
        }
    }

    /// The keys with a prefix, from a start and up to an end.
    pub(crate) fn range(&self) -> KeyRange {
        let mut range = self.bytes("prefix").map_or_else(KeyRange::all, KeyRange::prefix);
        if let Some(start) = self.bytes("start") {
            range = range.from(start);
        }
        if let Some(end) = self.bytes("end") {
            range = range.until(end);
        }
        range
    }

    fn timeout(&self) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.text("timeout")? else { return Ok(None) };
        humantime::parse_duration(text)
            .ok()
            .filter(|timeout| (Duration::from_millis(1)..=MAX_TIMEOUT).contains(timeout))
            .map(Some)
            .ok_or_else(|| {
                Problem::invalid(format!(
                    "timeout {text:?} is not a duration of 1ms to 10min, such as 2s"
                ))
            })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let wrong = |_| Problem::invalid(format!("{name} is not UTF-8"));
        self.bytes(name).map(str::from_utf8).transpose().map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: [&str; 3] = ["consistency", "min_revision", "timeout"];

    fn detail(problem: &Problem) -> String {
        problem.document().to_string()
    }

    #[test]
    fn values_are_any_bytes() {
        let query = Query::parse(Some("prefix=a%2F%FF+b&values"), &["prefix", "values"]);
        let query = query.ok().unwrap();
        assert_eq!(query.bytes("prefix"), Some(&b"a/\xff b"[..]));
        assert!(query.switch("values").unwrap());
        assert_eq!(query.bytes("start"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        for (query, said) in [("limt=1", "limt"), ("limit=1&limit=2", "twice")] {
            let problem = Query::parse(Some(query), &["limit"]).err().unwrap();
            assert!(detail(&problem).contains(said), "{problem:?}");
        }
    }

    #[test]
    fn a_read_takes_only_sensible_options() {
        for query in
            ["timeout=5", "timeout=0s", "timeout=1h", "consistency=none", "min_revision=-1"]
        {
            let query = Query::parse(Some(query), &READ).ok().unwrap();
            let problem = query.read_options().unwrap_err();
            assert!(detail(&problem).contains("400"), "{problem:?}");
        }
        let query = Query::parse(Some("timeout=2s&consistency=local&min_revision=7"), &READ);
        assert!(query.ok().unwrap().read_options().is_ok());
    }
}
