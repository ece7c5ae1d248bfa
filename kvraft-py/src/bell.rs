//! `Bell` wakes a thread or an event loop of Python from a thread that must not wait for the GIL.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

/// A counter of the kernel: a file descriptor that an event loop can watch, and a wait that a
/// signal ends, as no lock of the standard library does.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Wakes who waits now, or who waits next.
    pub(crate) fn ring(&self) {
        let rung = write(&self.0, &1_u64.to_ne_bytes());
        debug_assert!(rung.is_ok() || rung == Err(Errno::AGAIN), "it is rung too often: it rings");
    }

    /// Makes it silent until it is rung again.
    pub(crate) fn hush(&self) {
        let heard = read(&self.0, &mut [0; 8]);
        debug_assert!(heard.is_ok() || heard == Err(Errno::AGAIN), "nobody rang");
    }

    /// Waits until it is rung; returns early for a signal, and after `longest`.
    pub(crate) fn wait(&self, longest: Duration) -> io::Result<()> {
        let longest = Timespec::try_from(longest).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&longest)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The descriptor that becomes readable when it is rung.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
