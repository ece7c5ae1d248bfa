//! `/metrics`: what this node has counted, in the text format of Prometheus.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use kvraft::{DurationMetrics, ErrorKind, LinkStatus, MemberStatus, Metrics, Role, Status};

use super::App;
use super::problem::Problem;
use super::traffic::{DURATION, DURATION_HELP};

/// The version of the text format that is spoken.
const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Of a number that only grows, and one that goes up and down.
const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

/// A number that [`Metrics`] has.
struct Counted {
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    value: fn(&Metrics) -> u64,
}

const fn counter(name: &'static str, value: fn(&Metrics) -> u64, about: &'static str) -> Counted {
    Counted { name, kind: COUNTER, about, value }
}

const fn gauge(name: &'static str, value: fn(&Metrics) -> u64, about: &'static str) -> Counted {
    Counted { name, kind: GAUGE, about, value }
}

/// Every plain number of [`Metrics`].
const COUNTED: [Counted; 29] = [
    counter("kvraft_log_entries_total", |m| m.log_entries, "Log entries written to this disk."),
    counter("kvraft_log_batches_total", |m| m.log_batches, "Transactions that wrote to the log."),
    counter("kvraft_log_flushes_total", |m| m.log_flushes, "Flushes of the log's disk."),
    counter("kvraft_checkpoints_total", |m| m.checkpoints, "Moves from memory to the state file."),
    gauge("kvraft_buffer_bytes", |m| m.buffer_bytes, "Bytes applied and not in the state file."),
    gauge("kvraft_state_bytes", |m| m.state_bytes, "Bytes that the state file uses."),
    gauge("kvraft_disk_bytes", |m| m.disk_bytes, "Bytes that the data directory takes."),
    counter("kvraft_leader_changes_total", |m| m.leader_changes, "Leaders seen to take office."),
    counter("kvraft_leases_expired_total", |m| m.leases_expired, "Leases that ended by time."),
    counter("kvraft_snapshot_sent_bytes_total", |m| m.snapshot_bytes_sent, "Snapshots sent."),
    counter("kvraft_snapshot_received_bytes_total", |m| m.snapshot_bytes_received, "Received."),
    counter("kvraft_snapshots_broken_off_total", |m| m.snapshots_broken_off, "Not got through."),
    gauge("kvraft_keys", |m| m.held.keys, "Keys with a value."),
    gauge("kvraft_key_bytes", |m| m.held.key_bytes, "Bytes of keys and values."),
    gauge("kvraft_sessions", |m| m.held.sessions, "Processes whose retries are recognised."),
    gauge("kvraft_leases", |m| m.held.leases, "Leases."),
    gauge("kvraft_locks_held", |m| m.held.locks_held, "Locks that a lease holds."),
    gauge("kvraft_locks_waiting", |m| m.held.locks_waiting, "Places in the queues of locks."),
    gauge("kvraft_request_ids", |m| m.held.request_ids, "Idempotency keys that are remembered."),
    gauge("kvraft_request_bytes", |m| m.held.request_bytes, "Bytes of these and their answers."),
    gauge("kvraft_watchers", |m| m.watches.watchers, "Watches on this node."),
    gauge("kvraft_history_revisions", |m| m.watches.history_revisions, "Revisions for watches."),
    gauge("kvraft_history_bytes", |m| m.watches.history_bytes, "Bytes held for watches."),
    gauge("kvraft_oldest_revision", |m| m.watches.oldest_revision, "First to watch from."),
    counter("kvraft_watches_compacted_total", |m| m.watches.compacted, "Watches told of a gap."),
    counter("kvraft_proposals_total", |m| m.proposals.accepted, "Commands given to Raft here."),
    counter("kvraft_proposals_overloaded_total", |m| m.proposals.overloaded, "Those turned away."),
    counter("kvraft_read_barriers_total", |m| m.reads.barriers, "Reads that asked who leads."),
    counter("kvraft_read_rounds_total", |m| m.reads.rounds, "Questions asked for such reads."),
];

/// How long something took, of [`Metrics`].
struct Timed {
    name: &'static str,
    about: &'static str,
    value: fn(&Metrics) -> &DurationMetrics,
}

const TIMED: [Timed; 2] = [
    Timed {
        name: "kvraft_log_flush_duration_seconds",
        about: "How long flushes of the log took, with the writes before them.",
        value: |m| &m.log_flush_time,
    },
    Timed {
        name: "kvraft_checkpoint_duration_seconds",
        about: "How long changes took from memory into the state file.",
        value: |m| &m.checkpoint_time,
    },
];

/// A number of the connection to a member.
struct Linked {
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    write: fn(&mut String, &LinkStatus) -> fmt::Result,
}

const LINKED: [Linked; 3] = [
    Linked {
        name: "kvraft_member_round_trip_seconds",
        kind: GAUGE,
        about: "Round trip of QUIC to a member, smoothed.",
        write: |out, link| write!(out, "{}", seconds(link.round_trip_micros)),
    },
    Linked {
        name: "kvraft_member_packets_sent_total",
        kind: COUNTER,
        about: "Packets sent to a member on the connection of now.",
        write: |out, link| write!(out, "{}", link.packets_sent),
    },
    Linked {
        name: "kvraft_member_packets_lost_total",
        kind: COUNTER,
        about: "Those of them that were lost.",
        write: |out, link| write!(out, "{}", link.packets_lost),
    },
];

/// A number that [`Status`] has.
struct Said {
    name: &'static str,
    about: &'static str,
    value: fn(&Status) -> u64,
}

const fn said(name: &'static str, value: fn(&Status) -> u64, about: &'static str) -> Said {
    Said { name, about, value }
}

/// The numbers of [`Status`].
const SAID: [Said; 13] = [
    said("kvraft_term", |s| s.term, "The newest term that was seen."),
    said("kvraft_first_log_index", |s| s.first_log, "The first log entry that is held."),
    said("kvraft_last_log_index", |s| s.last_log, "The last log entry."),
    said("kvraft_commit_index", |s| s.committed, "The last entry known to be committed."),
    said("kvraft_applied_index", |s| s.applied, "The last entry applied here."),
    said("kvraft_revision", |s| s.revision, "The revision of the last entry applied here."),
    said("kvraft_format_level", |s| u64::from(s.format_level), "What the cluster writes."),
    said("kvraft_has_leader", |s| u64::from(s.leader.is_some()), "1 if a leader is known."),
    said("kvraft_ready", |s| u64::from(s.ready), "1 if recovered, with a leader."),
    said("kvraft_disk_full", |s| u64::from(s.disk_full), "1 if only deletes are let in."),
    said("kvraft_diverged", |s| u64::from(s.divergence.is_some()), "1 if verify found a fault."),
    said("kvraft_failed", |s| u64::from(s.failure.is_some()), "1 if the node has stopped."),
    said("kvraft_voters", |s| voters(&s.members), "Members that vote."),
];

/// All roles, of which each node has one.
const ROLES: [Role; 6] =
    [Role::Leader, Role::Follower, Role::Candidate, Role::Learner, Role::Client, Role::Stopped];

/// Answers with everything that is known; while the node recovers, that is the requests alone.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut out = String::new();
    let wrong = |error: fmt::Error| Problem::of(ErrorKind::Internal, error.to_string());
    requests(&mut out, &app).map_err(wrong)?;
    if let Some(map) = app.map.get() {
        node(&mut out, &map.status()).map_err(wrong)?;
        // A node that has failed has no numbers any more, and says that it has failed.
        if let Ok(counted) = map.metrics() {
            numbers(&mut out, &counted).map_err(wrong)?;
        }
    }
    let mut response = Response::new(Body::from(out));
    response.headers_mut().insert(CONTENT_TYPE, FORMAT);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn requests(out: &mut String, app: &App) -> fmt::Result {
    head(out, DURATION, "histogram", DURATION_HELP)?;
    app.traffic.write(out)?;
    let name = "kvraft_http_requests_in_flight";
    one(out, name, GAUGE, "Requests whose answers have not begun.", app.traffic.under_way())?;
    let open = app.open_watches();
    one(out, "kvraft_http_watches", GAUGE, "Watches over HTTP.", open)
}

fn node(out: &mut String, status: &Status) -> fmt::Result {
    let name = "kvraft_node_info";
    head(out, name, GAUGE, "Who this node is; always 1.")?;
    let cluster = status.cluster_id.as_deref().unwrap_or_default();
    writeln!(
        out,
        "{name}{{name=\"{}\",node_id=\"{}\",cluster_id=\"{cluster}\",version=\"{}\"}} 1",
        escaped(&status.name),
        status.node_id,
        status.version
    )?;
    let name = "kvraft_role";
    head(out, name, GAUGE, "1 for the role that this node has, 0 for the others.")?;
    for role in ROLES {
        let has = u64::from(role == status.role);
        writeln!(out, "{name}{{role=\"{}\"}} {has}", role.name())?;
    }
    for said in &SAID {
        one(out, said.name, GAUGE, said.about, (said.value)(status))?;
    }
    let name = "kvraft_member_lag_entries";
    head(out, name, GAUGE, "Log entries that a member has not yet; only a leader knows.")?;
    for member in &status.members {
        if let Some(matched) = member.matched {
            let lag = status.last_log.saturating_sub(matched);
            writeln!(out, "{name}{{member=\"{}\"}} {lag}", escaped(&member.name))?;
        }
    }
    links(out, &status.members)
}

fn links(out: &mut String, members: &[MemberStatus]) -> fmt::Result {
    for linked in &LINKED {
        head(out, linked.name, linked.kind, linked.about)?;
        for member in members {
            if let Some(link) = &member.link {
                write!(out, "{}{{member=\"{}\"}} ", linked.name, escaped(&member.name))?;
                (linked.write)(out, link)?;
                out.push('\n');
            }
        }
    }
    Ok(())
}

fn numbers(out: &mut String, metrics: &Metrics) -> fmt::Result {
    for counted in &COUNTED {
        one(out, counted.name, counted.kind, counted.about, (counted.value)(metrics))?;
    }
    TIMED.iter().try_for_each(|timed| durations(out, timed, (timed.value)(metrics)))
}

fn durations(out: &mut String, timed: &Timed, took: &DurationMetrics) -> fmt::Result {
    let name = timed.name;
    head(out, name, "histogram", timed.about)?;
    for (micros, count) in took.classes() {
        writeln!(out, "{name}_bucket{{le=\"{}\"}} {count}", seconds(micros))?;
    }
    writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {}", took.count)?;
    writeln!(out, "{name}_sum {}", seconds(took.total_micros))?;
    writeln!(out, "{name}_count {}", took.count)
}

/// Microseconds as seconds, exact.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn one(out: &mut String, name: &str, kind: &str, about: &str, value: u64) -> fmt::Result {
    head(out, name, kind, about)?;
    writeln!(out, "{name} {value}")
}

fn head(out: &mut String, name: &str, kind: &str, about: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {about}\n# TYPE {name} {kind}")
}

/// A label's value in the text format.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn voters(members: &[MemberStatus]) -> u64 {
    u64::try_from(members.iter().filter(|member| member.voter).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Everything that a leader tells.
    fn told() -> String {
        let mut out = String::new();
        requests(&mut out, &App::for_tests()).unwrap();
        let member = |name: &str, matched| MemberStatus {
            name: name.to_owned(),
            node_id: String::new(),
            address: String::new(),
            http: String::new(),
            labels: std::collections::BTreeMap::new(),
            voter: true,
            matched: Some(matched),
            link: Some(LinkStatus::default()),
        };
        let members = vec![member("a", 9), member("b\"", 7)];
        let status = Status { last_log: 9, members, ..Status::default() };
        node(&mut out, &status).unwrap();
        numbers(&mut out, &Metrics::default()).unwrap();
        out
    }

    #[test]
    fn the_table_in_the_documents_is_what_is_told() {
        let document = include_str!("../../../docs/metrics.md");
        let rows: Vec<_> = document.lines().filter(|line| line.starts_with("| `kvraft_")).collect();
        let documented: BTreeSet<_> = rows
            .iter()
            .map(|row| {
                let mut cells = row.split('|').map(str::trim).skip(1);
                let name = cells.next().unwrap().trim_matches('`').to_owned();
                (name, cells.next().unwrap().to_owned())
            })
            .collect();
        let told = told();
        let types = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let told: BTreeSet<_> = types
            .map(|line| line.split_once(' ').unwrap())
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect();
        assert_eq!(documented, told);
        assert_eq!(rows.len(), documented.len(), "each once");
    }

    #[test]
    fn every_number_of_the_core_is_told() {
        // A field that is added there has to get a row here.
        let plain = |text: String| text.matches(": 0").count();
        let timed = plain(format!("{:?}", DurationMetrics::default()));
        let all = plain(format!("{:?}", Metrics::default())) - TIMED.len() * timed;
        assert_eq!(COUNTED.len(), all);
        let names: BTreeSet<_> = COUNTED.iter().map(|counted| counted.name).collect();
        assert_eq!(names.len(), all);
        for counted in COUNTED {
            assert_eq!(counted.name.ends_with("_total"), counted.kind == COUNTER);
        }
    }

    #[test]
    fn a_leader_tells_how_far_behind_each_member_is() {
        let told = told();
        assert!(told.contains("kvraft_member_lag_entries{member=\"a\"} 0\n"), "{told}");
        assert!(told.contains("kvraft_member_lag_entries{member=\"b\\\"\"} 2\n"), "{told}");
        assert!(told.contains("kvraft_role{role=\"stopped\"} 1\n"), "{told}");
        assert!(told.contains("kvraft_voters 2\n"), "{told}");
        assert!(told.contains("kvraft_member_round_trip_seconds{member=\"a\"} 0\n"), "{told}");
    }

    #[test]
    fn durations_are_told_in_seconds_with_bounds_that_hold_those_before() {
        let told = told();
        for line in [
            "kvraft_log_flush_duration_seconds_bucket{le=\"0.000064\"} 0",
            "kvraft_log_flush_duration_seconds_bucket{le=\"2.097152\"} 0",
            "kvraft_checkpoint_duration_seconds_bucket{le=\"+Inf\"} 0",
            "kvraft_checkpoint_duration_seconds_sum 0",
        ] {
            assert!(told.lines().any(|told| told == line), "{line}");
        }
        assert_eq!(
            [1, 1_000_000, 2_500_000, 10_000_000].map(seconds),
            ["0.000001", "1", "2.5", "10"]
        );
    }
}
