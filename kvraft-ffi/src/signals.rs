//! Signals are the program's, and for its own threads: those of the library take none.
//!
//! A thread begins with the mask of the one that it comes from. A handler of the program that ran on a
//! thread of the library would interrupt what that writes to the disk.

use std::ffi::c_int;
use std::{io, panic, thread};

use futures_executor::block_on;

use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// As large as any `sigset_t` of Linux, and aligned as it.
#[derive(Debug)]
#[repr(C, align(16))]
struct Signals([u64; 16]);

const SIG_SETMASK: c_int = 2;
/// Signals that a thread brings upon itself: it would end without a word if it did not take them.
/// SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS.
const OWN: [c_int; 7] = [4, 5, 6, 7, 8, 11, 31];

unsafe extern "C" {
    safe fn sigfillset(set: &mut Signals) -> c_int;
    safe fn sigdelset(set: &mut Signals, signal: c_int) -> c_int;
    /// POSIX: sets the mask of this thread, and says what it was. It fails for a wrong `how` only.
    safe fn pthread_sigmask(how: c_int, set: &Signals, before: &mut Signals) -> c_int;
}

/// Sets the mask of this thread, and returns what it was.
fn set_mask(signals: &Signals) -> Signals {
    let mut before = Signals([0; 16]);
    pthread_sigmask(SIG_SETMASK, signals, &mut before);
    before
}

/// Sets the mask back, also after a panic.
struct Masked(Signals);

impl Drop for Masked {
    fn drop(&mut self) {
        set_mask(&self.0);
    }
}

/// Waits for `work` on a thread that takes no signal, so that none that it begins does. The caller
/// takes its own meanwhile: who waits for a cluster can be told to stop.
pub(crate) fn apart<T: Send>(
    work: impl Future<Output = kvraft::Result<T>> + Send,
) -> Result<T, kvraft_error> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("kvraft-open".to_owned());
        let begun = kept_out(|| thread.spawn_scoped(scope, || block_on(work)));
        let begun = begun.map_err(|error| no_thread(&error))?;
        Ok(begun.join().unwrap_or_else(|panic| panic::resume_unwind(panic))?)
    })
}

/// Says that the system gives no thread.
pub(crate) fn no_thread(error: &io::Error) -> kvraft_error {
    let text = format!("a thread of the library cannot be started: {error}");
    kvraft_error::new(kvraft_status::KVRAFT_STORAGE, &text)
}

/// Runs `body` with all signals kept out of the threads that it begins.
pub(crate) fn kept_out<T>(body: impl FnOnce() -> T) -> T {
    let mut all = Signals([0; 16]);
    sigfillset(&mut all);
    for signal in OWN {
        sigdelset(&mut all, signal);
    }
    let _masked = Masked(set_mask(&all));
    body()
}
