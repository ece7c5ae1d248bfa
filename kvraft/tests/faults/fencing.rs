//! Locks whose holder is paused beyond its time: the store that they guard takes no late write.

use rustix::process::Signal;

use crate::harness::eventually;
use crate::process::Process;
use crate::trio::{SECRET, Trio};

/// A store that takes a write only with a token as large as the largest that it has seen.
#[derive(Debug, Default)]
struct Fenced {
    largest: u64,
    texts: Vec<String>,
}

impl Fenced {
    /// Takes what a holder sent, or refuses it.
    fn take(&mut self, sent: &str) -> bool {
        let mut words = sent.split(' ');
        assert_eq!(words.next(), Some("ok"), "{sent}");
        let token = words.next().unwrap().parse().unwrap();
        let fresh = token >= self.largest;
        if fresh {
            self.largest = token;
            self.texts.push(words.next().unwrap().to_owned());
        }
        fresh
    }
}

/// Waits for the lock, and returns the token. Who is too slow to keep its lease alive while it waits
/// begins anew.
async fn lock(process: &mut Process) -> u64 {
    eventually("the lock is got", async || {
        let answer = process.ask("lock job 1s");
        assert!(answer.starts_with("ok") || answer.starts_with("error expired"), "{answer}");
        answer.strip_prefix("ok ")?.parse().ok()
    })
    .await
}

#[tokio::test]
async fn a_holder_that_was_paused_beyond_its_time_knows_it_and_its_late_write_is_refused() {
    let mut trio = Trio::start(&[SECRET]);
    let mut store = Fenced::default();
    // The leader is one of those who are paused.
    let first = trio.leader();
    let mut token = lock(&mut trio.processes[first]).await;
    let mut expected = Vec::new();
    for turn in 0..4 {
        let (paused, next) = ((first + turn) % 3, (first + turn + 1) % 3);
        let early = format!("early{turn}");
        let sent = trio.processes[paused].ask(&format!("write job {early}"));
        assert!(store.take(&sent), "{sent}: {store:?}");
        let lost = trio.processes[paused].send("lost job");
        trio.processes[paused].signal(Signal::STOP);
        // On its way already, and held up like the holder.
        let late = trio.processes[paused].send(&format!("write job late{turn}"));

        let newer = lock(&mut trio.processes[next]).await;
        assert!(newer > token, "{newer} after {token}");
        let text = format!("newer{turn}");
        let sent = trio.processes[next].ask(&format!("write job {text}"));
        assert!(store.take(&sent), "{sent}: {store:?}");
        expected.extend([early, text]);

        trio.processes[paused].signal(Signal::CONT);
        let sent = trio.processes[paused].wait(late);
        assert_eq!(sent, format!("ok {token} late{turn}"));
        assert!(!store.take(&sent), "the store took {sent}: {store:?}");
        assert_eq!(trio.processes[paused].ask("held job"), "ok false");
        assert_eq!(trio.processes[paused].wait(lost), "ok lost");
        token = newer;
    }
    assert_eq!(store.texts, expected);
}
