//! Rolling restarts of whole processes, under load.

use crate::once::Count;

/// Closes a process in good order, whoever it is in the cluster, and starts it again.
fn restart(count: &mut Count, node: usize) {
    // Its own program calls it no more; the others go on.
    count.alive.retain(|other| *other != node);
    count.go_round();
    let closing = count.trio.processes[node].send("close");
    count.go_round();
    assert_eq!(count.trio.processes[node].wait(closing), "ok closed");
    count.trio.processes[node] = count.trio.open(node);
    let ready = count.trio.processes[node].send("ready");
    count.go_round();
    assert_eq!(count.trio.processes[node].wait(ready), "ok ready");
    count.alive.push(node);
}

#[test]
fn no_request_fails_while_every_process_is_restarted_in_turn() {
    let mut count = Count::start();
    for node in (0..3).cycle().take(6) {
        restart(&mut count, node);
        count.go_round();
    }
    assert_eq!(count.failures, 0, "some requests failed and were asked again");
    count.check();
}
