//! `Checkpointer` is the thread that writes the state to its disk.
//!
//! A checkpoint freezes the write buffer, waits until the log behind it is durable, and commits it
//! with the applied log id in one transaction. A full disk is waited out; a failed one stops the
//! node.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::storage::pressure::PressureSide;
use crate::storage::state::Shared;

/// First and longest pause before a full disk is tried again: soon after a deletion, and without
/// keeping a disk busy that stays full.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Owns the thread; dropping it ends the thread without another checkpoint.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
}

/// Tells the thread what is wanted of it.
#[derive(Default)]
pub(super) struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Wanted {
    /// How many checkpoints were asked for; one may serve several.
    ticket: u64,
    /// The buffer is large enough for a checkpoint.
    due: bool,
    end: End,
}

/// Whether and how the thread ends.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    #[default]
    No,
    AfterCheckpoint,
    Now,
}

impl Signal {
    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        // Every change of it is one assignment: a panic elsewhere cannot leave half of one.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a checkpoint; it is done once the durable ticket has reached the returned one.
    pub(super) fn request(&self) -> u64 {
        let mut wanted = self.wanted();
        wanted.ticket += 1;
        self.changed.notify_all();
        wanted.ticket
    }

    /// Says that the buffer is large enough for a checkpoint.
    pub(super) fn wake(&self) {
        self.wanted().due = true;
        self.changed.notify_all();
    }

    fn end(&self, end: End) {
        self.wanted().end = end;
        self.changed.notify_all();
    }

    /// Waits until a checkpoint is due, and says what is wanted.
    fn wait(&self, interval: Duration, served: u64) -> Wanted {
        let idle =
            |wanted: &mut Wanted| !wanted.due && wanted.ticket == served && wanted.end == End::No;
        let (mut wanted, _) = self
            .changed
            .wait_timeout_while(self.wanted(), interval, idle)
            .unwrap_or_else(PoisonError::into_inner);
        wanted.due = false;
        *wanted
    }

    /// Waits for `pause`; returns whether to go on.
    fn pause(&self, pause: Duration) -> bool {
        let (wanted, _) = self
            .changed
            .wait_timeout_while(self.wanted(), pause, |wanted| wanted.end == End::No)
            .unwrap_or_else(PoisonError::into_inner);
        wanted.end == End::No
    }
}

impl Checkpointer {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self> {
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kvraft-checkpoint".to_owned())
            .spawn(move || run(&of_thread))
            .map_err(|error| {
                Error::storage("cannot start the checkpoint thread").with_source(error)
            })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Writes a last checkpoint and ends the thread. Blocks; a full disk is tried only once.
    pub(super) fn finish(&self) -> Result<()> {
        self.shared.signal.end(End::AfterCheckpoint);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return Ok(()) };
        thread.join().unwrap_or_else(|_| Err(Error::internal("the checkpoint thread panicked")))
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.signal.end(End::Now);
    }
}

/// Tells whoever waits for a checkpoint that there will be none, however the thread ends.
struct LastWord<'a>(&'a Shared);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        // Only the first reason stays: this one is heard after a panic.
        self.0.fail(Error::internal("the checkpoint thread panicked"));
    }
}

fn run(shared: &Shared) -> Result<()> {
    let _last_word = LastWord(shared);
    let result = serve(shared);
    shared.fail(match &result {
        Ok(()) => Error::closed("the map is closed: open it again"),
        Err(error) => error.clone(),
    });
    result
}

fn serve(shared: &Shared) -> Result<()> {
    let mut served = 0;
    loop {
        let wanted = shared.signal.wait(shared.checkpoint_interval, served);
        match wanted.end {
            End::No => {}
            End::Now => return Ok(()),
            End::AfterCheckpoint => return write_once(shared, wanted.ticket),
        }
        if !write_until_done(shared, wanted.ticket)? {
            continue;
        }
        served = wanted.ticket;
    }
}

fn write_once(shared: &Shared, ticket: u64) -> Result<()> {
    shared.checkpoint(ticket)?;
    shared.pressure.clear(PressureSide::State);
    shared.pressure.set_state_room(shared.disk.room()?);
    Ok(())
}

/// Returns whether the checkpoint was written; if not, the thread is to end.
fn write_until_done(shared: &Shared, ticket: u64) -> Result<bool> {
    let mut pause = FIRST_PAUSE;
    let mut repeated = false;
    loop {
        let error = match write_once(shared, ticket) {
            Ok(()) => return Ok(true),
            Err(error) => error,
        };
        if error.kind() == ErrorKind::Full {
            tracing::warn!(%error, ?pause, "a checkpoint has to wait for room on the disk");
            shared.pressure.raise(PressureSide::State);
            // The log's too: it ends that once there is room without the ballast, while the next
            // checkpoint may well go through on the room of the ballast.
            shared.pressure.raise(PressureSide::Log);
            (shared.release_ballast)();
            shared.pressure.set_bare(true);
            if !shared.signal.pause(pause) {
                return Ok(false);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        } else if error.kind() == ErrorKind::Storage && !repeated {
            // A write that a full disk cuts short is an input error the first time, and says that
            // the disk is full the second time. Repeating is safe: it writes all pages anew.
            repeated = true;
        } else {
            tracing::error!(%error, "the checkpoint failed: this node stops");
            return Err(error);
        }
    }
}
