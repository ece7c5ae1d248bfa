//! `kvraft_txn_result` is what a transaction did.

use std::mem::MaybeUninit;

use kvraft::{OpResult, TxnResult};

use crate::boundary;
use crate::entry::kvraft_entry;
use crate::error::kvraft_error;
use crate::outcome::kvraft_outcome;
use crate::status::kvraft_status;

/// What a transaction did. It never changes: any number of threads may read it.
#[derive(Debug)]
pub struct kvraft_txn_result {
    result: TxnResult,
}

impl From<TxnResult> for kvraft_txn_result {
    fn from(result: TxnResult) -> Self {
        Self { result }
    }
}

impl kvraft_txn_result {
    fn outcome(&self, index: usize) -> Option<kvraft_outcome> {
        let (existed, number, entry) = match self.result.results.get(index)? {
            OpResult::Got(entry) => (entry.is_some(), 0, entry.as_ref()),
            OpResult::Put { replaced, previous } => (*replaced, 0, previous.as_ref()),
            OpResult::Deleted { existed, previous } => (*existed, 0, previous.as_ref()),
            OpResult::Incremented(number) => (false, *number, None),
            // `OpResult` is open for other crates; the face that knows a new one shows it.
            _ => (false, 0, None),
        };
        let entry = kvraft_entry::part_of(entry);
        Some(kvraft_outcome { revision: self.result.revision, number, existed, entry })
    }
}

/// Returns whether all comparisons held; false if result is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_result_succeeded(result: Option<&kvraft_txn_result>) -> bool {
    boundary::ask(result, |this| this.result.succeeded)
}

/// Returns the revision of every change in the transaction; 0 if result is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_result_revision(result: Option<&kvraft_txn_result>) -> u64 {
    boundary::ask(result, |this| this.result.revision)
}

/// Returns how many operations the branch has that was done; 0 if result is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_result_count(result: Option<&kvraft_txn_result>) -> usize {
    boundary::ask(result, |this| this.result.results.len())
}

/// Shows what one operation did; its entry lives as long as the result.
///
/// index: counts from 0, in the order in which the operations of that branch were added.
/// outcome: where it goes: of a read, the entry and whether it existed; of a put or delete, whether
/// the key existed, and the entry before if that was asked for; of an increment, the number, while
/// existed says nothing. The revision is that of the transaction.
///
/// KVRAFT_NOT_FOUND: there is no operation of that index.
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_result_outcome(
    result: Option<&kvraft_txn_result>,
    index: usize,
    outcome: Option<&mut MaybeUninit<kvraft_outcome>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::show(outcome, "outcome", error, || {
        Ok(boundary::required(result, "result")?.outcome(index))
    })
}

/// Frees a result and its entries. Does nothing if result is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_result_free(result: Option<Box<kvraft_txn_result>>) {
    boundary::release(|| result);
}
