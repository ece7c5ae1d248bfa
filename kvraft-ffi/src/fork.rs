//! `generation` says in which process this is: it differs between a process and its forked children.
//!
//! It is asked for at every call, where a system call for the process id would cost more than the
//! rest of a local read does beside the core.

use std::ffi::c_int;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between the process in which the library was first used and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);
static COUNTED: OnceLock<bool> = OnceLock::new();

type Handler = Option<extern "C" fn()>;

unsafe extern "C" {
    /// POSIX: has `child` called in the child of every fork, before it returns there.
    safe fn pthread_atfork(prepare: Handler, parent: Handler, child: Handler) -> c_int;
}

extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Returns a number that a forked child and its parent do not share.
pub(crate) fn generation() -> u32 {
    // Without memory for the handler, the process id does.
    if *COUNTED.get_or_init(|| pthread_atfork(None, None, Some(forked)) == 0) {
        FORKS.load(Ordering::Relaxed)
    } else {
        process::id()
    }
}
