//! Answers in parts: one is made for each time that it is asked for, and none for nobody.

use super::*;
use crate::error::ErrorKind;
use crate::options::KeyRange;

fn watch(from: Option<u64>) -> Query {
    Query::Watch { range: KeyRange::all(), from, previous: false }
}

fn upto(answer: Answer) -> u64 {
    let Answer::Changes(changes) = answer else { panic!("no changes but {answer:?}") };
    changes.upto
}

#[tokio::test]
async fn a_part_is_made_only_when_it_is_asked_for() {
    let (a, b) = two(&secrets(&[1]));
    let (mut exchange, first) =
        a.transport.exchange(&b.peer(), watch(Some(7)), deadline()).await.unwrap();
    assert_eq!(upto(first), 7);
    for part in 8..12 {
        assert_eq!(upto(exchange.next().await.unwrap()), part);
    }
    assert_eq!(b.fake.parts.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn who_answers_learns_that_nobody_asks_any_more() {
    let (a, b) = two(&secrets(&[1]));
    let (mut exchange, first) =
        a.transport.exchange(&b.peer(), watch(None), deadline()).await.unwrap();
    assert_eq!(upto(first), 0);
    // The next part never comes, and is not waited for.
    assert!(exchange.next().now_or_never().is_none());
    drop(exchange);
    let gone = || async {
        let parts = b.fake.parts.load(Ordering::SeqCst);
        if parts == 100 { Ok(()) } else { Err(parts) }
    };
    eventually(PATIENCE, gone).await;
}

#[tokio::test]
async fn an_error_among_the_parts_keeps_its_kind() {
    let (a, b) = two(&secrets(&[1]));
    let scan = Query::Scan { range: KeyRange::all(), options: crate::options::ScanOptions::new() };
    let error = a.transport.exchange(&b.peer(), scan, deadline()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_told_as_that() {
    let (a, b) = two(&secrets(&[1]));
    let query = Query::Count { range: KeyRange::all(), read: crate::options::ReadOptions::new() };
    let answer = a.transport.request(&b.peer(), Request::Query(query), deadline()).await.unwrap();
    let Response::Failed(failure) = answer else { panic!("it was sent") };
    assert_eq!(Error::from(failure).kind(), ErrorKind::InvalidArgument);
}
