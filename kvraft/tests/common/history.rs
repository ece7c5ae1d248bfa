//! `History` is who asked what of which key, when, and what was answered: what a checker judges.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use kvraft::{Entry, Error, ErrorKind, ReadOptions, ReplicatedMap, Result, WriteOptions};

/// What was asked of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Put {
        value: i64,
    },
    /// Puts only if the last change was at that revision; 0 means that there is no value.
    Swap {
        expected: u64,
        value: i64,
    },
    Add {
        delta: i64,
    },
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Absent,
    Found {
        value: i64,
        revision: u64,
    },
    /// The value is there since this revision.
    Written {
        revision: u64,
    },
    /// A swap that found this revision, and changed nothing.
    Conflict {
        revision: u64,
    },
    Added {
        value: i64,
        revision: u64,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok(Answer),
    /// It has changed nothing and never will.
    Failed,
    /// It may have changed something, or may do so at any time to come.
    Unknown,
}

/// One call from its beginning to its end, by a clock of which no two readings are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) who: String,
    pub(crate) call: Call,
    pub(crate) begun: u64,
    /// Means nothing of an unknown outcome.
    pub(crate) ended: u64,
    pub(crate) outcome: Outcome,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, call, begun, ended, outcome } = self;
        write!(f, "[{begun}..{ended}] {who}: {call:?} -> {outcome:?}")
    }
}

/// The calls of all who take part, by key. Its clones are the same history.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    clock: Arc<AtomicU64>,
    keys: Arc<Mutex<BTreeMap<String, Vec<Operation>>>>,
}

impl History {
    /// Every call by its key, in the order in which they began.
    pub(crate) fn keys(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Operation>>> {
        self.keys.lock().expect("no test panics while it records")
    }

    /// How many calls ended so.
    pub(crate) fn count(&self, is: impl Fn(&Operation) -> bool) -> usize {
        self.keys().values().flatten().filter(|operation| is(operation)).count()
    }

    /// Records a call and its end. One that is dropped in the middle stays unknown.
    async fn record<T>(
        &self,
        (who, key, call): (&str, &str, Call),
        made: impl Future<Output = Result<T>>,
        answer: impl Fn(&T) -> Answer,
    ) -> Result<T> {
        let at = {
            let mut keys = self.keys();
            let operations = keys.entry(key.to_owned()).or_default();
            operations.push(Operation {
                who: who.to_owned(),
                call,
                begun: self.now(),
                ended: u64::MAX,
                outcome: Outcome::Unknown,
            });
            operations.len() - 1
        };
        let made = made.await;
        let ended = self.now();
        let outcome = match &made {
            Ok(answered) => Outcome::Ok(answer(answered)),
            Err(error) => failed(call, error),
        };
        let mut keys = self.keys();
        let operation = &mut keys.get_mut(key).expect("it was begun")[at];
        (operation.ended, operation.outcome) = (ended, outcome);
        made
    }

    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }
}

/// What a call that failed may have done, by the promises of its kind of error.
fn failed(call: Call, error: &Error) -> Outcome {
    if call == Call::Get {
        return Outcome::Failed;
    }
    match (error.kind(), error.revision()) {
        (ErrorKind::Conflict, Some(revision)) => Outcome::Ok(Answer::Conflict { revision }),
        (
            ErrorKind::Indeterminate
            | ErrorKind::Storage
            | ErrorKind::Corrupt
            | ErrorKind::Internal,
            _,
        ) => Outcome::Unknown,
        _ => Outcome::Failed,
    }
}

/// One who takes part: through this map, under this name.
pub(crate) struct Caller<'a> {
    pub(crate) history: &'a History,
    pub(crate) who: &'a str,
    pub(crate) map: &'a ReplicatedMap,
}

impl Caller<'_> {
    pub(crate) async fn get(&self, key: &str, options: ReadOptions) -> Result<Option<Entry>> {
        let asked = self.map.get_with(key, options);
        let answer = |entry: &Option<Entry>| match entry {
            Some(entry) => Answer::Found { value: number(entry), revision: entry.revision },
            None => Answer::Absent,
        };
        self.history.record((self.who, key, Call::Get), asked, answer).await
    }

    pub(crate) async fn put(&self, key: &str, value: i64, options: WriteOptions) -> Result<u64> {
        let asked =
            async { Ok(self.map.put_with(key, value.to_string(), options).await?.revision) };
        let answer = |revision: &u64| Answer::Written { revision: *revision };
        self.history.record((self.who, key, Call::Put { value }), asked, answer).await
    }

    /// Puts if the last change was at the revision that is expected.
    pub(crate) async fn swap(
        &self,
        key: &str,
        (expected, value): (u64, i64),
        options: WriteOptions,
    ) -> Result<u64> {
        let options = options.if_revision(expected);
        let asked =
            async { Ok(self.map.put_with(key, value.to_string(), options).await?.revision) };
        let answer = |revision: &u64| Answer::Written { revision: *revision };
        let call = Call::Swap { expected, value };
        self.history.record((self.who, key, call), asked, answer).await
    }

    pub(crate) async fn add(&self, key: &str, delta: i64, options: WriteOptions) -> Result<i64> {
        let asked = self.map.increment_with(key, delta, options);
        let answer = |added: &kvraft::Incremented| Answer::Added {
            value: added.value,
            revision: added.revision,
        };
        let call = Call::Add { delta };
        Ok(self.history.record((self.who, key, call), asked, answer).await?.value)
    }
}

/// The number that is the value of an entry.
fn number(entry: &Entry) -> i64 {
    let text = std::str::from_utf8(&entry.value).expect("a test writes numbers");
    text.parse().expect("a test writes numbers")
}
