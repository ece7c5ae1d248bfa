//! A checker of linearizability: is there an order of the calls, each between its beginning and its
//! end, in which one entry that nobody shares would have answered all that was answered?
//!
//! The search is that of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993) with the
//! memory of Lowe ("Testing for Linearizability", 2017): what was tried once, the same calls placed
//! with the same state behind them, is not tried again. Keys are judged one by one, which is enough
//! (Herlihy and Wing, 1990: linearizability is local).

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use crate::history::{Answer, Call, History, Operation, Outcome};

/// How often the search may place a call of one key before it gives up: a few seconds of work.
const MOST_STEPS: u64 = 400_000;
/// How many calls a violation tells of on either side of where the search came to its end.
const TOLD: usize = 12;

/// What the checker found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Linearizable,
    /// No order explains the answers; the text shows where the longest one ended.
    Violation {
        key: String,
        told: String,
    },
    /// The search was too long; nothing is known.
    Unknown {
        key: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::Violation { key, told } => write!(f, "{key} is not linearizable: {told}"),
            Self::Unknown { key } => {
                write!(f, "unknown: {key} would take more than {MOST_STEPS} steps")
            }
        }
    }
}

/// Judges a whole history, key by key; the first that is not linearizable is the verdict.
pub(crate) fn judge(history: &History) -> Verdict {
    judge_within(history, MOST_STEPS)
}

/// The same with another bound.
pub(crate) fn judge_within(history: &History, steps: u64) -> Verdict {
    let mut verdict = Verdict::Linearizable;
    for (key, operations) in history.keys().iter() {
        match Search::of(operations).run(steps) {
            Found::Order => {}
            Found::None { told } => return Verdict::Violation { key: key.clone(), told },
            Found::GaveUp => verdict = Verdict::Unknown { key: key.clone() },
        }
    }
    verdict
}

/// One entry, as the calls that are placed so far have left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    value: Option<i64>,
    /// The revision of the last change; unknown behind a write whose answer was lost.
    revision: Option<u64>,
    /// The last revision that is known: every later one is higher.
    floor: u64,
}

impl State {
    pub(crate) const EMPTY: Self = Self { value: None, revision: Some(0), floor: 0 };

    /// The state behind a call that was answered so, if this state may answer so.
    pub(crate) fn after(self, call: Call, answer: Answer) -> Option<Self> {
        match (call, answer) {
            (Call::Get, Answer::Absent) => self.value.is_none().then_some(self),
            (Call::Get, Answer::Found { value, revision }) => {
                (self.value == Some(value)).then(|| self.at(revision))?
            }
            (Call::Put { value }, Answer::Written { revision }) => self.changed(value, revision),
            (Call::Swap { expected, value }, Answer::Written { revision }) => {
                self.at(expected)?.changed(value, revision)
            }
            (Call::Swap { expected, .. }, Answer::Conflict { revision }) => {
                (revision != expected).then(|| self.at(revision))?
            }
            (Call::Add { delta }, Answer::Added { value, revision }) => {
                (self.value.unwrap_or(0).checked_add(delta) == Some(value))
                    .then(|| self.changed(value, revision))?
            }
            (call, answer) => panic!("{call:?} is not answered by {answer:?}"),
        }
    }

    /// The same state if its last change may have been at this revision.
    fn at(self, revision: u64) -> Option<Self> {
        match self.revision {
            Some(known) => (known == revision).then_some(self),
            None if revision > self.floor => {
                Some(Self { revision: Some(revision), floor: revision, ..self })
            }
            None => None,
        }
    }

    fn changed(self, value: i64, revision: u64) -> Option<Self> {
        (revision > self.floor).then_some(Self {
            value: Some(value),
            revision: Some(revision),
            floor: revision,
        })
    }

    /// The state behind a call whose answer was lost, if it changes something here.
    pub(crate) fn after_lost(self, call: Call) -> Option<Self> {
        let changed = |from: Self, value| Self { value: Some(value), revision: None, ..from };
        match call {
            Call::Get => None,
            Call::Put { value } => Some(changed(self, value)),
            Call::Swap { expected, value } => Some(changed(self.at(expected)?, value)),
            Call::Add { delta } => Some(changed(self, self.value.unwrap_or(0).checked_add(delta)?)),
        }
    }
}

/// What a search came to.
enum Found {
    Order,
    None { told: String },
    GaveUp,
}

/// The beginning or the end of a call in the list of what is not placed yet.
#[derive(Debug, Clone, Copy)]
struct Event {
    /// Its number among the operations.
    call: usize,
    is_end: bool,
    before: usize,
    after: usize,
}

/// A search for an order of the calls of one key.
struct Search<'a> {
    operations: Vec<&'a Operation>,
    /// A ring, so that what is placed can be taken out and put back: 0 is where it begins and ends.
    events: Vec<Event>,
    /// Where each call begins, and where it ends; lost ones end nowhere.
    places: Vec<(usize, Option<usize>)>,
}

impl<'a> Search<'a> {
    fn of(all: &'a [Operation]) -> Self {
        let operations: Vec<_> =
            all.iter().filter(|operation| operation.outcome != Outcome::Failed).collect();
        let mut moments = Vec::new();
        for (call, operation) in operations.iter().enumerate() {
            moments.push((operation.begun, call, false));
            if operation.outcome != Outcome::Unknown {
                moments.push((operation.ended, call, true));
            }
        }
        moments.sort_unstable();
        let count = moments.len() + 1;
        let root = Event { call: usize::MAX, is_end: false, before: count - 1, after: 1 % count };
        let mut events = vec![root];
        let mut places = vec![(0, None); operations.len()];
        for (at, (_, call, is_end)) in (1..).zip(moments) {
            events.push(Event { call, is_end, before: at - 1, after: (at + 1) % count });
            if is_end {
                places[call].1 = Some(at);
            } else {
                places[call].0 = at;
            }
        }
        Self { operations, events, places }
    }

    fn run(mut self, most: u64) -> Found {
        let answered = self.places.iter().filter(|(_, end)| end.is_some()).count();
        let mut placed = Placed::new(self.operations.len());
        let mut tried = HashSet::new();
        let mut path: Vec<(usize, State)> = Vec::new();
        let mut best = (Vec::new(), State::EMPTY);
        let (mut state, mut left, mut steps) = (State::EMPTY, answered, 0);
        let mut at = self.events[0].after;
        while left > 0 {
            let event = self.events[at];
            // The end of a call that is not placed: whatever comes later cannot come before it.
            if at == 0 || event.is_end {
                if path.len() > best.0.len() {
                    best = (path.iter().map(|(call, _)| *call).collect(), state);
                }
                let Some((call, before)) = path.pop() else {
                    return Found::None { told: self.tell(&best) };
                };
                placed.flip(call);
                left += usize::from(self.places[call].1.is_some());
                state = before;
                self.put_back(call);
                at = self.events[self.places[call].0].after;
                continue;
            }
            let next = self.step(state, event.call);
            placed.flip(event.call);
            if let Some(next) = next.filter(|next| tried.insert((placed.clone(), *next))) {
                steps += 1;
                if steps > most {
                    return Found::GaveUp;
                }
                path.push((event.call, state));
                left -= usize::from(self.places[event.call].1.is_some());
                state = next;
                self.take_out(event.call);
                at = self.events[0].after;
            } else {
                placed.flip(event.call);
                at = event.after;
            }
        }
        Found::Order
    }

    fn step(&self, state: State, call: usize) -> Option<State> {
        let operation = self.operations[call];
        match operation.outcome {
            Outcome::Ok(answer) => state.after(operation.call, answer),
            Outcome::Unknown => state.after_lost(operation.call),
            Outcome::Failed => None,
        }
    }

    fn take_out(&mut self, call: usize) {
        let (begin, end) = self.places[call];
        for at in [Some(begin), end].into_iter().flatten() {
            let Event { before, after, .. } = self.events[at];
            self.events[before].after = after;
            self.events[after].before = before;
        }
    }

    fn put_back(&mut self, call: usize) {
        let (begin, end) = self.places[call];
        // The other way round than they were taken out.
        for at in [end, Some(begin)].into_iter().flatten() {
            let Event { before, after, .. } = self.events[at];
            self.events[before].after = at;
            self.events[after].before = at;
        }
    }

    /// Tells where the longest order ended, and what could not be placed behind it.
    fn tell(&self, (order, state): &(Vec<usize>, State)) -> String {
        let mut told =
            format!("behind {} calls the entry is {state:?}; the last ones were", order.len());
        let last = order.iter().skip(order.len().saturating_sub(TOLD));
        let rest = (0..self.operations.len()).filter(|call| !order.contains(call));
        for call in last {
            write!(told, "\n  {}", self.operations[*call]).expect("a string takes it");
        }
        told.push_str("\nand none of these may come next:");
        for call in rest.take(TOLD) {
            write!(told, "\n  {}", self.operations[call]).expect("a string takes it");
        }
        told
    }
}

/// Which calls are placed, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Placed(Box<[u64]>);

impl Placed {
    fn new(calls: usize) -> Self {
        Self(vec![0; calls.div_ceil(64)].into())
    }

    fn flip(&mut self, call: usize) {
        self.0[call / 64] ^= 1 << (call % 64);
    }
}
