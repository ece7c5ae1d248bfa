//! `kvraft_txn` is several comparisons and operations that are applied at once, or not at all.

use std::ffi::c_int;
use std::mem::{self, MaybeUninit};
use std::time::Duration;

use kvraft::{Cmp, Compare, Op, Txn};

use crate::boundary::{self, Lent};
use crate::error::kvraft_error;
use crate::lease::lease_id;
use crate::map::{kvraft_map, usable};
use crate::status::kvraft_status;
use crate::txn_result::kvraft_txn_result;
use crate::write_options::kvraft_write_options;

/// How two sides of a comparison must stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum kvraft_cmp {
    /// Both are the same.
    KVRAFT_EQUAL = 0,
    /// They differ.
    KVRAFT_NOT_EQUAL = 1,
    /// The entry's side is smaller; values are compared bytewise.
    KVRAFT_LESS = 2,
    /// The entry's side is larger.
    KVRAFT_GREATER = 3,
}

/// When an operation of a transaction is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub enum kvraft_branch {
    /// If all comparisons hold, or if there is none.
    KVRAFT_THEN = 0,
    /// If some comparison does not hold.
    KVRAFT_ELSE = 1,
}

/// Comparisons, and what to do if all of them hold, or else: at once, or not at all. Without
/// comparisons it is a batch.
///
/// At most 1024 comparisons and operations in all, each key at most once in a branch. Every
/// operation sees the map as it was before the transaction, and all changes have one revision. Keys
/// and values are copied, and checked by kvraft_txn_commit. What could not be added is not left out:
/// kvraft_txn_commit refuses the whole then. Not for several threads at once.
#[derive(Debug, Default)]
pub struct kvraft_txn {
    /// Why the first part that could not be added could not.
    wrong: Option<String>,
    compares: Vec<Compare>,
    ops: Vec<(kvraft_branch, Op)>,
}

impl kvraft_txn {
    fn add(&mut self, branch: c_int, op: Op) -> Result<(), kvraft_error> {
        self.ops.push((of_number(branch)?, op));
        Ok(())
    }

    /// Changes the operation that was added last.
    fn change_last(&mut self, change: impl FnOnce(Op) -> Op) -> Result<(), kvraft_error> {
        let Some((_, op)) = self.ops.last_mut() else {
            return Err(kvraft_error::invalid("the transaction has no operation yet; add one"));
        };
        *op = change(mem::replace(op, Op::get("")));
        Ok(())
    }

    fn whole(&self) -> Result<Txn, kvraft_error> {
        if let Some(wrong) = &self.wrong {
            let text = format!("the transaction lacks what could not be added to it: {wrong}");
            return Err(kvraft_error::invalid(&text));
        }
        let txn = self.compares.iter().cloned().fold(Txn::new(), Txn::when);
        Ok(self.ops.iter().cloned().fold(txn, |txn, (branch, op)| match branch {
            kvraft_branch::KVRAFT_THEN => txn.then(op),
            kvraft_branch::KVRAFT_ELSE => txn.or_else(op),
        }))
    }
}

/// Adds to a transaction, which remembers that it lacks what could not be added.
fn build(
    txn: Option<&mut kvraft_txn>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
    add: impl FnOnce(&mut kvraft_txn) -> Result<(), kvraft_error>,
) -> kvraft_status {
    boundary::with(txn, "txn", error, |this| {
        add(this).inspect_err(|error| {
            this.wrong.get_or_insert_with(|| error.text().into_owned());
        })
    })
}

fn of_number(branch: c_int) -> Result<kvraft_branch, kvraft_error> {
    let branches = [kvraft_branch::KVRAFT_THEN, kvraft_branch::KVRAFT_ELSE];
    let known = branches.into_iter().find(|known| *known as c_int == branch);
    known.ok_or_else(|| kvraft_error::none_of("branch", branch, "kvraft_branch"))
}

fn relation(cmp: c_int) -> Result<Cmp, kvraft_error> {
    let relations = [
        (kvraft_cmp::KVRAFT_EQUAL, Cmp::Equal),
        (kvraft_cmp::KVRAFT_NOT_EQUAL, Cmp::NotEqual),
        (kvraft_cmp::KVRAFT_LESS, Cmp::Less),
        (kvraft_cmp::KVRAFT_GREATER, Cmp::Greater),
    ];
    let known = relations.into_iter().find(|(known, _)| *known as c_int == cmp);
    known.map(|(_, cmp)| cmp).ok_or_else(|| kvraft_error::none_of("cmp", cmp, "kvraft_cmp"))
}

/// Makes a transaction that does nothing.
///
/// txn: where it goes; free it with kvraft_txn_free.
///
/// KVRAFT_INVALID_ARGUMENT: txn is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_new(
    txn: Option<&mut MaybeUninit<Option<Box<kvraft_txn>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    boundary::make(txn, "txn", error, || Ok(kvraft_txn::default()))
}

/// Compares the revision of the last change of a key with revision; an absent key has 0.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_when_revision(
    txn: Option<&mut kvraft_txn>,
    key: Lent,
    key_len: usize,
    cmp: c_int,
    revision: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.compares.push(Compare::revision(key, relation(cmp)?, revision));
        Ok(())
    })
}

/// Compares the revision at which a key was created with revision; an absent key has 0.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_when_created(
    txn: Option<&mut kvraft_txn>,
    key: Lent,
    key_len: usize,
    cmp: c_int,
    revision: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.compares.push(Compare::created(key, relation(cmp)?, revision));
        Ok(())
    })
}

/// Compares the value of a key with value, bytewise. Of an absent key no such comparison holds, not
/// even KVRAFT_NOT_EQUAL.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or cmp is no value of enum kvraft_cmp.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_when_value(
    txn: Option<&mut kvraft_txn>,
    key: Lent,
    key_len: usize,
    cmp: c_int,
    value: Lent,
    value_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        let value = value.slice(value_len, "value")?;
        this.compares.push(Compare::value(key, relation(cmp)?, value));
        Ok(())
    })
}

/// Demands that a key has no value.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_when_absent(
    txn: Option<&mut kvraft_txn>,
    key: Lent,
    key_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.compares.push(Compare::absent(key));
        Ok(())
    })
}

/// Demands that a key has a value.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_when_present(
    txn: Option<&mut kvraft_txn>,
    key: Lent,
    key_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.compares.push(Compare::present(key));
        Ok(())
    })
}

/// Adds a read of a key, as it was before the transaction.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_get(
    txn: Option<&mut kvraft_txn>,
    branch: c_int,
    key: Lent,
    key_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.add(branch, Op::get(key))
    })
}

/// Adds a put. See kvraft_txn_set_ttl_ms, kvraft_txn_set_lease and kvraft_txn_set_want_previous.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_put(
    txn: Option<&mut kvraft_txn>,
    branch: c_int,
    key: Lent,
    key_len: usize,
    value: Lent,
    value_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        let value = value.slice(value_len, "value")?;
        this.add(branch, Op::put(key, value))
    })
}

/// Adds a delete. See kvraft_txn_set_want_previous.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_delete(
    txn: Option<&mut kvraft_txn>,
    branch: c_int,
    key: Lent,
    key_len: usize,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.add(branch, Op::delete(key))
    })
}

/// Adds an increment of the decimal number under a key, which counts as 0 if there is none.
///
/// KVRAFT_INVALID_ARGUMENT: an argument is NULL, or branch is no value of enum kvraft_branch.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_increment(
    txn: Option<&mut kvraft_txn>,
    branch: c_int,
    key: Lent,
    key_len: usize,
    delta: i64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let key = key.slice(key_len, "key")?;
        this.add(branch, Op::increment(key, delta))
    })
}

/// Takes what the put that was added last writes away after this time; see
/// kvraft_write_options_set_ttl_ms.
///
/// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_set_ttl_ms(
    txn: Option<&mut kvraft_txn>,
    ttl_ms: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| this.change_last(|op| op.ttl(Duration::from_millis(ttl_ms))))
}

/// Takes what the put that was added last writes away when the lease ends. Other operations have no
/// lease.
///
/// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL, or the lease is 0.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_set_lease(
    txn: Option<&mut kvraft_txn>,
    lease: u64,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| {
        let lease = lease_id(lease)?;
        this.change_last(|op| op.lease(lease))
    })
}

/// Has the put or delete that was added last answer with the entry that was there before.
///
/// KVRAFT_INVALID_ARGUMENT: there is none yet, or txn is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_set_want_previous(
    txn: Option<&mut kvraft_txn>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    build(txn, error, |this| this.change_last(Op::want_previous))
}

/// Applies a transaction: all of it at once, or nothing. It may be committed again, as another one.
///
/// txn, options: stay the caller's; options may be NULL for the defaults, and ask for a request id and
/// a timeout only.
/// result: where goes what it did; may be NULL; free it with kvraft_txn_result_free.
///
/// KVRAFT_INVALID_ARGUMENT: a key or value has a wrong length, there are too many operations or a key
/// twice in a branch, or a call that should have added to it has failed (the message says which), or an
/// argument is NULL.
/// KVRAFT_EXPIRED: a lease has ended.
/// KVRAFT_INDETERMINATE: also if its results were over 64 KiB and it had to be sent again.
/// Other errors: those of kvraft_put. That comparisons do not hold is no error.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_commit(
    map: Option<&kvraft_map>,
    txn: Option<&kvraft_txn>,
    options: Option<&kvraft_write_options>,
    result: Option<&mut MaybeUninit<Option<Box<kvraft_txn_result>>>>,
    error: Option<&mut MaybeUninit<Option<Box<kvraft_error>>>>,
) -> kvraft_status {
    let result = boundary::zeroed(result);
    boundary::call(error, || {
        let map = usable(map)?;
        let txn = boundary::required(txn, "txn")?.whole()?;
        let done = map.txn_with(txn, kvraft_write_options::of(options))?;
        if let Some(result) = result {
            *result = Some(Box::new(done.into()));
        }
        Ok(kvraft_status::KVRAFT_OK)
    })
}

/// Frees a transaction. Does nothing if txn is NULL.
#[unsafe(no_mangle)]
pub extern "C" fn kvraft_txn_free(txn: Option<Box<kvraft_txn>>) {
    boundary::release(|| txn);
}
