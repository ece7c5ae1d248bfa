//! `Bell` is a file descriptor that is readable when there may be something to do.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

use crate::error::kvraft_error;
use crate::status::kvraft_status;

/// Rung by whoever has something to tell, silenced by whoever looks.
#[derive(Debug)]
pub(crate) struct Bell(OwnedFd);

impl Bell {
    /// Makes a bell that is rung, so that its owner looks once.
    pub(crate) fn new() -> Result<Self, kvraft_error> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(eventfd(1, flags).map_err(|errno| failed("no file descriptor is left", errno))?))
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(crate) fn ring(&self) {
        // The only failure is that it has been rung 2^64 - 2 times: it is readable then.
        write(&self.0, &1_u64.to_ne_bytes()).ok();
    }

    pub(crate) fn silence(&self) {
        // The only failure is that it was silent.
        read(&self.0, &mut [0_u8; 8]).ok();
    }

    /// Waits until it is rung, for ever without an `end`; returns whether it was.
    pub(crate) fn wait(&self, end: Option<Instant>) -> Result<bool, kvraft_error> {
        let [rung] = readable([self.0.as_fd()], end)?;
        Ok(!rung.is_empty())
    }

    /// Waits until it is rung, or `other` can be read or has an end; returns whether that was so.
    pub(crate) fn wait_beside(&self, other: BorrowedFd<'_>) -> Result<bool, kvraft_error> {
        let [_, other] = readable([self.0.as_fd(), other], None)?;
        Ok(!other.is_empty())
    }
}

/// Waits until one of the descriptors can be read, for ever without an `end`; returns what is so of
/// each.
pub(crate) fn readable<const N: usize>(
    descriptors: [BorrowedFd<'_>; N],
    end: Option<Instant>,
) -> Result<[PollFlags; N], kvraft_error> {
    let mut polled = descriptors.map(|one| PollFd::from_borrowed_fd(one, PollFlags::IN));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut polled, left.as_ref()) {
            Ok(_) => return Ok(polled.map(|one| one.revents())),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("descriptors cannot be waited for", errno)),
        }
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

fn failed(what: &str, errno: Errno) -> kvraft_error {
    kvraft_error::new(kvraft_status::KVRAFT_STORAGE, &format!("{what}: {errno}"))
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bell_is_heard_once_by_whoever_silences_it() {
        let bell = Arc::new(Bell::new().expect("a descriptor"));
        assert!(bell.wait(Some(Instant::now())).expect("it can be waited for"), "rung at first");
        bell.silence();
        assert!(!bell.wait(Some(Instant::now())).expect("it can be waited for"));
        let other = Arc::clone(&bell);
        let ringing = thread::spawn(move || other.wake());
        let end = Instant::now() + Duration::from_secs(60);
        assert!(bell.wait(Some(end)).expect("it can be waited for"));
        ringing.join().expect("rung");
    }
}
