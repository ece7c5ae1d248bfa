//! The judge of histories is judged: by histories whose verdict is known, and by a simpler search.

use crate::history::{Answer, Call, History, Operation, Outcome};
use crate::linear::{State, Verdict, judge, judge_within};

const LOST: Outcome = Outcome::Unknown;

fn put(value: i64) -> Call {
    Call::Put { value }
}

fn swap(expected: u64, value: i64) -> Call {
    Call::Swap { expected, value }
}

fn add(delta: i64) -> Call {
    Call::Add { delta }
}

fn written(revision: u64) -> Outcome {
    Outcome::Ok(Answer::Written { revision })
}

fn found(value: i64, revision: u64) -> Outcome {
    Outcome::Ok(Answer::Found { value, revision })
}

fn added(value: i64, revision: u64) -> Outcome {
    Outcome::Ok(Answer::Added { value, revision })
}

fn absent() -> Outcome {
    Outcome::Ok(Answer::Absent)
}

fn conflict(revision: u64) -> Outcome {
    Outcome::Ok(Answer::Conflict { revision })
}

/// Calls of one key, each with its beginning and its end.
fn history(calls: &[(Call, u64, u64, Outcome)]) -> History {
    let history = History::default();
    let operation = |(call, begun, ended, outcome): &(Call, u64, u64, Outcome)| Operation {
        who: "somebody".to_owned(),
        call: *call,
        begun: *begun,
        ended: *ended,
        outcome: *outcome,
    };
    history.keys().insert("k".to_owned(), calls.iter().map(operation).collect());
    history
}

/// The same, one call after the other.
fn in_turn(calls: &[(Call, Outcome)]) -> History {
    let timed = (0..).zip(calls).map(|(n, (call, outcome))| (*call, 2 * n, 2 * n + 1, *outcome));
    history(&timed.collect::<Vec<_>>())
}

#[track_caller]
fn is_legal(history: &History) {
    let verdict = judge(history);
    assert_eq!(verdict, Verdict::Linearizable, "{verdict}");
}

#[track_caller]
fn is_illegal(history: &History) {
    let verdict = judge(history);
    assert!(matches!(verdict, Verdict::Violation { .. }), "{verdict}");
}

#[test]
fn what_one_caller_does_after_the_other_is_as_if_nobody_else_were_there() {
    is_legal(&in_turn(&[
        (Call::Get, absent()),
        (put(7), written(3)),
        (Call::Get, found(7, 3)),
        (swap(2, 8), conflict(3)),
        (swap(3, 8), written(4)),
        (add(2), added(10, 9)),
        (Call::Get, found(10, 9)),
    ]));
}

#[test]
fn a_read_beside_a_write_may_see_it_or_not_but_not_first_and_then_not() {
    let (old, new) = (found(1, 1), found(2, 2));
    let beside = |first, second| {
        history(&[
            (put(1), 0, 1, written(1)),
            (put(2), 2, 9, written(2)),
            (Call::Get, 3, 4, first),
            (Call::Get, 5, 6, second),
        ])
    };
    is_legal(&beside(old, old));
    is_legal(&beside(old, new));
    is_legal(&beside(new, new));
    is_illegal(&beside(new, old));
}

#[test]
fn a_stale_read_is_found() {
    is_illegal(&in_turn(&[(put(1), written(1)), (put(2), written(2)), (Call::Get, found(1, 1))]));
}

#[test]
fn a_write_that_was_acknowledged_and_lost_is_found() {
    is_illegal(&in_turn(&[(put(1), written(1)), (Call::Get, absent())]));
    is_illegal(&in_turn(&[(put(1), written(1)), (add(1), added(1, 2))]));
}

#[test]
fn a_write_that_was_applied_twice_is_found() {
    is_illegal(&in_turn(&[(add(1), added(1, 1)), (Call::Get, found(2, 2))]));
    is_illegal(&in_turn(&[(put(1), LOST), (Call::Get, found(1, 1)), (Call::Get, found(1, 2))]));
    is_illegal(&in_turn(&[(add(1), LOST), (Call::Get, found(2, 2))]));
}

#[test]
fn two_swaps_of_the_same_revision_that_both_won_are_found() {
    let both = |second| {
        history(&[
            (put(1), 0, 1, written(1)),
            (swap(1, 2), 2, 5, written(2)),
            (swap(1, 3), 3, 6, second),
        ])
    };
    is_illegal(&both(written(3)));
    is_legal(&both(conflict(2)));
    is_illegal(&both(conflict(1)));
}

#[test]
fn a_write_whose_answer_was_lost_may_appear_late_or_never_but_not_go_again() {
    let seen = |reads: &[Outcome]| {
        let begin = [(put(1), written(1)), (put(2), LOST)];
        let reads = reads.iter().map(|read| (Call::Get, *read));
        in_turn(&begin.into_iter().chain(reads).collect::<Vec<_>>())
    };
    let (old, new) = (found(1, 1), found(2, 9));
    is_legal(&seen(&[old, old, old]));
    is_legal(&seen(&[old, old, new]));
    is_legal(&seen(&[new, new]));
    is_illegal(&seen(&[new, old]));
}

#[test]
fn a_swap_whose_answer_was_lost_may_have_lost_itself() {
    let then = |read| {
        in_turn(&[(put(1), written(1)), (swap(1, 2), LOST), (swap(7, 3), LOST), (Call::Get, read)])
    };
    is_legal(&then(found(1, 1)));
    is_legal(&then(found(2, 5)));
    is_illegal(&then(found(3, 5)));
}

#[test]
fn a_write_that_failed_for_sure_is_never_seen() {
    is_legal(&in_turn(&[(put(1), Outcome::Failed), (Call::Get, absent())]));
    is_illegal(&in_turn(&[(put(1), Outcome::Failed), (Call::Get, found(1, 1))]));
}

#[test]
fn revisions_that_go_back_are_found() {
    is_illegal(&in_turn(&[(put(1), written(5)), (put(2), written(4))]));
    is_illegal(&in_turn(&[(put(1), written(5)), (put(2), LOST), (Call::Get, found(2, 4))]));
}

#[test]
fn a_search_that_would_take_too_long_says_that_nothing_is_known() {
    let lost = (0..16).map(|value| (put(value), value.unsigned_abs(), u64::MAX, LOST));
    let calls: Vec<_> = lost.chain([(Call::Get, 100, 101, found(99, 1))]).collect();
    let verdict = judge_within(&history(&calls), 1000);
    assert_eq!(verdict, Verdict::Unknown { key: "k".into() });
    let text = verdict.to_string();
    assert!(text.contains("unknown: k"), "{text}");
}

#[test]
fn a_violation_tells_what_could_not_be_placed() {
    let verdict = judge(&in_turn(&[(put(1), written(1)), (Call::Get, absent())]));
    let Verdict::Violation { key, told } = verdict else { panic!("{verdict}") };
    assert_eq!(key, "k");
    assert!(told.contains("[2..3] somebody: Get -> Ok(Absent)"), "{told}");
}

/// Some number; any spread will do (Knuth's MMIX constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// A call with an answer that may or may not fit anything else.
    fn call(&mut self) -> (Call, Outcome) {
        let (value, revision) = (1 + self.below(2).cast_signed(), 1 + self.below(3));
        let (call, outcome) = match self.below(5) {
            0 => (Call::Get, found(value, revision)),
            1 => (Call::Get, absent()),
            2 => (put(value), written(revision)),
            3 => (add(1), added(value, revision)),
            _ => {
                let lost = conflict(self.below(3));
                let ended = if self.below(2) == 0 { written(revision) } else { lost };
                (swap(self.below(3), value), ended)
            }
        };
        let is_lost = call != Call::Get && self.below(4) == 0;
        (call, if is_lost { LOST } else { outcome })
    }

    /// A few calls, some of them side by side.
    fn calls(&mut self) -> Vec<(Call, u64, u64, Outcome)> {
        let count = 2 + self.below(4);
        let timed = |n| {
            let (call, outcome) = self.call();
            let begun = 10 * n;
            // Numbers of their own, since no two moments are the same.
            (call, begun, begun + 10 * self.below(3) + 1 + n % 9, outcome)
        };
        (0..count).map(timed).collect()
    }
}

/// Tries every order there is.
fn any_order(state: State, left: &[(Call, u64, u64, Outcome)]) -> bool {
    let answered = |call: &&(Call, u64, u64, Outcome)| call.3 != LOST;
    let first_end = left.iter().filter(answered).map(|call| call.2).min();
    let Some(first_end) = first_end else { return true };
    left.iter().enumerate().any(|(at, (call, begun, _, outcome))| {
        if *begun > first_end {
            return false;
        }
        let next = match outcome {
            Outcome::Ok(answer) => state.after(*call, *answer),
            Outcome::Unknown => state.after_lost(*call),
            Outcome::Failed => None,
        };
        let mut rest = left.to_vec();
        rest.remove(at);
        next.is_some_and(|next| any_order(next, &rest))
    })
}

#[test]
fn the_judge_says_what_trying_every_order_says() {
    let mut dice = Dice(7);
    let mut legal = 0;
    for round in 0..20_000 {
        let calls = dice.calls();
        let expected = any_order(State::EMPTY, &calls);
        let verdict = judge(&history(&calls));
        assert_eq!(verdict == Verdict::Linearizable, expected, "{round}: {calls:?}: {verdict}");
        legal += u32::from(expected);
    }
    assert!((500..19_500).contains(&legal), "{legal} are legal: the histories are too much alike");
}
