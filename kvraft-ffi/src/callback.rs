//! `kvraft_callback` is called exactly once, when a call is done that was begun for it.

use crate::boundary::Context;
use crate::error::kvraft_error;
use crate::outcome::kvraft_outcome;
use crate::status::kvraft_status;

/// What is called when a call is done that was begun with an _async function: exactly once if that
/// returned KVRAFT_OK, and never otherwise.
///
/// context is the caller's own. status, outcome and error are what the function without _async would
/// have given; outcome is never NULL and zeroed where there is nothing, error is NULL unless status is
/// an error. Both are freed when the callback returns: copy what is needed later, or take an entry with
/// kvraft_entry_take.
///
/// It is called on a thread of the library, perhaps before the function that began the call returns;
/// for one map, one callback at a time. It may call any function of this library, also one that
/// waits, kvraft_close and kvraft_free; but not wait for another callback. It must not throw, nor
/// leave by longjmp.
pub type kvraft_callback = Option<
    extern "C" fn(
        context: Context,
        status: kvraft_status,
        outcome: Option<&mut kvraft_outcome>,
        error: Option<&kvraft_error>,
    ),
>;

/// What is behind a [`kvraft_callback`] that is not `NULL`.
type Callback =
    extern "C" fn(Context, kvraft_status, Option<&mut kvraft_outcome>, Option<&kvraft_error>);

/// A callback that has not been called yet. Whatever becomes of the call, it will be.
#[derive(Debug)]
pub(crate) struct Pending {
    /// There until it is called.
    callback: Option<Callback>,
    context: Context,
}

impl Pending {
    pub(crate) const fn new(callback: Callback, context: Context) -> Self {
        Self { callback: Some(callback), context }
    }

    pub(crate) fn done(mut self, result: Result<(kvraft_status, kvraft_outcome), kvraft_error>) {
        self.call(result);
    }

    fn call(&mut self, result: Result<(kvraft_status, kvraft_outcome), kvraft_error>) {
        let Some(callback) = self.callback.take() else { return };
        let (status, mut outcome, error) = match result {
            Ok((status, outcome)) => (status, outcome, None),
            Err(error) => (error.status(), kvraft_outcome::default(), Some(error)),
        };
        callback(self.context, status, Some(&mut outcome), error.as_ref());
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Only a bug comes here: the call panicked, or was dropped unfinished.
        self.call(Err(kvraft_error::new(
            kvraft_status::KVRAFT_INTERNAL,
            "the call ended without a result, which is a bug in kvraft; please report it",
        )));
    }
}
