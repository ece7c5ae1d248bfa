//! The steps of an install, as they are seen in the directory of a node's states.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::process::Process;

/// How long anything that is waited for may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A moment at random after the step was seen.
const MOST_MICROS: u64 = 3000;

/// What is seen of an install when the follower is killed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// The follower has been started.
    Started,
    /// The first bytes have come.
    Begun,
    /// So many of a hundred parts of the state have come.
    Received(u64),
    /// The new state has its name.
    Renamed,
    /// The old state is gone.
    Replaced,
}

/// A moment to kill at.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    step: Step,
    later: Duration,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} and {:?}", self.step, self.later)
    }
}

/// The moments of a seed, all steps in turn: a linear congruential generator (Knuth's MMIX
/// constants), since any spread will do.
pub(crate) fn moments(seed: u64) -> impl Iterator<Item = Moment> {
    let mut dice = seed;
    let mut roll = move |below: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % below
    };
    (0_usize..).map(move |turn| {
        let step = match turn % 5 {
            0 => Step::Received(roll(100)),
            1 => Step::Renamed,
            2 => Step::Replaced,
            3 => Step::Begun,
            _ => Step::Started,
        };
        Moment { step, later: Duration::from_micros(roll(MOST_MICROS)) }
    })
}

/// The directory of a node's states, from before an install.
pub(crate) struct Watched {
    states: PathBuf,
    /// The generation that is there, and how many bytes it has.
    old: u64,
    whole: u64,
}

impl Watched {
    pub(crate) fn new(states: &Path, old: u64) -> Self {
        let whole = bytes(&states.join(old.to_string()));
        Self { states: states.to_owned(), old, whole }
    }

    /// Waits for a moment of an install.
    pub(crate) fn wait_for(&self, moment: Moment) {
        let deadline = Instant::now() + PATIENCE;
        // The steps are over in less than a millisecond: look without a pause.
        while !self.has_come(moment.step) {
            assert!(Instant::now() < deadline, "no state came to {moment}");
            std::hint::spin_loop();
        }
        let at = Instant::now() + moment.later;
        while Instant::now() < at {
            std::hint::spin_loop();
        }
    }

    fn has_come(&self, step: Step) -> bool {
        let Found { is_old, is_new, coming } = Found::in_states(&self.states, self.old);
        match step {
            Step::Started => true,
            Step::Begun => is_new || coming.is_some(),
            Step::Received(part) => {
                is_new || coming.is_some_and(|has| has * 100 >= self.whole * part)
            }
            Step::Renamed => is_new,
            Step::Replaced => is_new && !is_old,
        }
    }
}

/// What is in the directory of the states.
struct Found {
    is_old: bool,
    is_new: bool,
    /// How many bytes have come of a state that is not whole yet.
    coming: Option<u64>,
}

impl Found {
    fn in_states(states: &Path, old: u64) -> Self {
        let mut found = Self { is_old: false, is_new: false, coming: None };
        for entry in fs::read_dir(states).unwrap().flatten() {
            match entry.file_name().to_str().map(str::parse::<u64>) {
                Some(Ok(number)) if number > old => found.is_new = true,
                Some(Ok(_)) => found.is_old = true,
                _ => found.coming = Some(bytes(&entry.path())),
            }
        }
        found
    }
}

/// Returns how many bytes of a state are on the disk.
fn bytes(state: &Path) -> u64 {
    let files = fs::read_dir(state).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// Returns the index of the last entry applied, and the hash of the state.
pub(crate) fn hash(process: &mut Process) -> (u64, String) {
    let text = process.ask("hash");
    let (applied, hash) = text.strip_prefix("ok ").unwrap().split_once(' ').unwrap();
    (applied.parse().unwrap(), hash.to_owned())
}

/// Waits until all have applied the same, and compares what they have.
pub(crate) fn wait_alike(processes: &mut [Process]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let all: Vec<_> = processes.iter_mut().map(hash).collect();
        if all.iter().all(|(applied, _)| *applied == all[0].0) {
            assert!(all.iter().all(|(_, hash)| *hash == all[0].1), "{all:?}");
            return;
        }
        assert!(Instant::now() < deadline, "they do not come to the same: {all:?}");
    }
}
