//! The table of all endpoints: the routes, the roles and the OpenAPI document are made of it.

use axum::http::Method;
use axum::routing::{delete, get, post, put};

use super::endpoint::{Access, Answer, Asks, Content, Endpoint, Headers, Kind, Parameter, Payload};
use super::{
    backup, counter, integrity, key, keys, leases, locks, members, metrics, openapi, probes,
    status, txn, ui, watch,
};
use crate::tokens::Role;

const READ: Access = Access::Role(Role::Read);
const ADMIN: Access = Access::Role(Role::Admin);

const CONSISTENCY: Parameter = Parameter::new(
    "consistency",
    Kind::Consistency,
    "How fresh the answer is: linearizable, lease or local.",
);
const MIN_REVISION: Parameter =
    Parameter::new("min_revision", Kind::Number, "Wait until this node has applied this revision.");
const TIMEOUT: Parameter =
    Parameter::new("timeout", Kind::Patience, "How long this may take, from 1ms to 10min.");
const PREFIX: Parameter = Parameter::new("prefix", Kind::Bytes, "Keys that begin so.");
const START: Parameter = Parameter::new("start", Kind::Bytes, "Keys from this one on.");
const END: Parameter = Parameter::new("end", Kind::Bytes, "Keys before this one.");
const LEASE: Parameter = Parameter::new("lease", Kind::LeaseId, "The lease that it is for.");

const READ_OPTIONS: &[Parameter] = &[CONSISTENCY, MIN_REVISION, TIMEOUT];
const NOTHING: &[Answer] = &[Answer::new(204, Content::None, "It is done.")];
const PROBE: &[Answer] = &[Answer::new(200, Content::Text, "Yes.")];

/// Those that may stand on a port of their own, for those who may not read the map.
pub(super) static HEALTH: [Endpoint; 4] = [
    Endpoint::get(
        "/livez",
        Access::Anyone,
        "Whether the process works; never whether there is a leader.",
        || get(probes::livez),
    )
    .answers(PROBE),
    Endpoint::get(
        "/readyz",
        Access::Anyone,
        "Whether requests should come here: recovered, not about to stop, not far behind, with a \
         leader that was heard of lately.",
        || get(probes::readyz),
    )
    .answers(PROBE),
    Endpoint::get("/healthz", Access::Anyone, "The same as /readyz.", || get(probes::readyz))
        .answers(PROBE),
    Endpoint::get("/metrics", READ, "What this node has counted, for Prometheus.", || {
        get(metrics::metrics)
    })
    .answers(&[Answer::new(200, Content::Text, "The text format of Prometheus.")]),
];

/// The map, entry by entry.
static KEYS: [Endpoint; 7] = [
    Endpoint::change(
        Method::PUT,
        "/key/{id}",
        Role::Write,
        "Gives a key the body as its value. What kind of bytes they are (Content-Type) is not kept.",
        || put(key::put),
    )
    .headers(Headers::Conditions)
    .payload(Payload::Value)
    .takes(&[
        TIMEOUT,
        Parameter::new("ttl", Kind::Duration, "The key goes away this long after this put."),
        Parameter::new("lease", Kind::LeaseId, "The key goes away with this lease."),
    ])
    .answers(&[
        Answer::new(200, Content::Json("Put"), "The value replaces another; ETag has its revision."),
        Answer::new(201, Content::Json("Put"), "The key is new; ETag has its revision."),
        Answer::new(415, Content::Json("Problem"), "The body has a content coding."),
    ]),
    Endpoint::get(
        "/key/{id}",
        READ,
        "Reads a key, as JSON, or with `raw` or `Accept: application/octet-stream` its bytes alone. \
         With `wait` and `revision` it answers once the key is not at that revision any more.",
        || get(key::get),
    )
    .asks(Asks::LeaderUnlessSaid)
    .takes(&[
        Parameter::new("raw", Kind::Switch, "Answer with the value alone."),
        Parameter::new("wait", Kind::Patience, "How long to wait for a change, up to 10min."),
        Parameter::new("revision", Kind::Number, "The revision that is known; 0: no value."),
        CONSISTENCY,
        MIN_REVISION,
        TIMEOUT,
    ])
    .answers(&[
        Answer::new(200, Content::EntryOrBytes, "The entry; ETag has its revision."),
        Answer::new(304, Content::None, "It is still at the revision that is known."),
        Answer::new(404, Content::Json("Problem"), "The key has no value."),
        Answer::new(501, Content::Json("Problem"), "If-Match is not for reads."),
    ]),
    Endpoint::change(Method::DELETE, "/key/{id}", Role::Write, "Takes a key away.", || {
        delete(key::delete)
    })
    .headers(Headers::Conditions)
    .takes(&[TIMEOUT])
    .answers(&[
        Answer::new(204, Content::None, "It is gone; Kvraft-Revision has the revision of that."),
        Answer::new(404, Content::Json("Problem"), "The key had no value."),
    ]),
    Endpoint::change(
        Method::POST,
        "/key/{id}/increment",
        Role::Write,
        "Adds to the decimal number under a key; an absent key counts as 0.",
        || post(counter::increment),
    )
    .headers(Headers::Conditions)
    .takes(&[
        TIMEOUT,
        Parameter::new("delta", Kind::SignedNumber, "What is added; 1 if it is not said."),
    ])
    .answers(&[Answer::new(200, Content::Json("Counter"), "The number now.")]),
    Endpoint::get(
        "/keys",
        READ,
        "Lists keys in order, page by page: a page is consistent in itself. With `values` their \
         entries, with `count` only how many there are.",
        || get(keys::list),
    )
    .asks(Asks::LeaderUnlessSaid)
    .takes(&[
        PREFIX,
        START,
        END,
        Parameter::new("limit", Kind::Positive, "Keys on a page at most; 1000 if it is not said."),
        Parameter::new("cursor", Kind::Text, "Where the last page ended; good on every node."),
        Parameter::new("values", Kind::Switch, "Whole entries."),
        Parameter::new("count", Kind::Switch, "Only how many keys there are."),
        Parameter::new("reverse", Kind::Switch, "The last keys first."),
        CONSISTENCY,
        MIN_REVISION,
        TIMEOUT,
    ])
    .answers(&[Answer::new(200, Content::Json("Page"), "A page, or the count.")]),
    Endpoint::change(
        Method::DELETE,
        "/keys",
        Role::Write,
        "Takes all keys of a range away at once.",
        || delete(keys::delete),
    )
    .headers(Headers::Once)
    .takes(&[
        PREFIX,
        START,
        END,
        Parameter::new("all", Kind::Switch, "The whole map; else a range has to be named."),
        TIMEOUT,
    ])
    .answers(&[Answer::new(200, Content::Json("RangeDeleted"), "How many there were.")]),
    Endpoint::change(
        Method::POST,
        "/txn",
        Role::Write,
        "Compares, and does one of two lists of operations, all at once.",
        || post(txn::txn),
    )
    .headers(Headers::Once)
    .payload(Payload::Transaction)
    .takes(&[TIMEOUT])
    .answers(&[Answer::new(200, Content::Json("TxnDone"), "What was done.")]),
];

/// What lasts: watches, leases, locks.
static LASTING: [Endpoint; 7] = [
    Endpoint::get(
        "/watch",
        READ,
        "Tells every change as a server-sent event, one a revision, whose id is the revision: \
         Last-Event-ID goes on from there.",
        || get(watch::watch),
    )
    .takes(&[
        Parameter::new("key", Kind::Bytes, "This key alone."),
        PREFIX,
        START,
        END,
        Parameter::new("from", Kind::Number, "From this revision on; from now if it is not said."),
        Parameter::new("previous", Kind::Switch, "With the entries as they were before."),
        Parameter::new(
            "resync",
            Kind::Switch,
            "All entries first, and again whenever changes were missed.",
        ),
    ])
    .answers(&[
        Answer::new(200, Content::Events, "Events, until one side ends it."),
        Answer::new(410, Content::Json("Problem"), "Changes since `from` are not held any more."),
    ]),
    Endpoint::change(Method::POST, "/leases", Role::Write, "Grants a lease.", || {
        post(leases::grant)
    })
    .takes(&[Parameter::new("ttl", Kind::Duration, "How long it lasts without a keep-alive.")])
    .answers(&[Answer::new(201, Content::Json("LeaseGranted"), "Its id.")]),
    Endpoint::get("/leases/{id}", READ, "Looks at a lease and its keys.", || get(leases::info))
        .asks(Asks::LeaderUnlessSaid)
        .takes(READ_OPTIONS)
        .answers(&[Answer::new(200, Content::Json("Lease"), "The lease.")]),
    Endpoint::change(
        Method::DELETE,
        "/leases/{id}",
        Role::Write,
        "Ends a lease with its keys and locks.",
        || delete(leases::revoke),
    )
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/leases/{id}/keep-alive",
        Role::Write,
        "Begins the time of a lease anew.",
        || post(leases::keep_alive),
    )
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/locks/{name}",
        Role::Write,
        "Takes a lock for a lease, or for a new one with a `ttl`. A holder gets its token again.",
        || post(locks::lock),
    )
    .takes(&[
        LEASE,
        Parameter::new("ttl", Kind::Duration, "Of a new lease, which is to be kept alive."),
        Parameter::new("wait", Kind::Patience, "How long to wait for it; not at all if not said."),
    ])
    .answers(&[Answer::new(200, Content::Json("Lock"), "The lease, and the fencing token.")]),
    Endpoint::change(
        Method::DELETE,
        "/locks/{name}",
        Role::Write,
        "Gives a lock back, or the place in its queue.",
        || delete(locks::unlock),
    )
    .takes(&[LEASE])
    .answers(NOTHING),
];

/// The node and its cluster.
static CLUSTER: [Endpoint; 12] = [
    Endpoint::get("/status", READ, "What this node says of itself, without asking others.", || {
        get(status::status)
    })
    .answers(&[Answer::new(200, Content::Json("Status"), "The status.")]),
    Endpoint::get("/openapi.json", Access::Anyone, "This document.", || get(openapi::openapi))
        .answers(&[Answer::new(200, Content::Json("OpenApi"), "OpenAPI 3.1.")]),
    Endpoint::get("/ui", Access::Anyone, "A page to look at, for browsers.", || get(ui::ui))
        .answers(&[Answer::new(200, Content::Html, "The page.")]),
    Endpoint::get("/cluster/members", ADMIN, "Lists the members as this node knows them.", || {
        get(members::list)
    })
    .answers(&[Answer::new(200, Content::Json("Members"), "The members.")]),
    Endpoint::change(
        Method::DELETE,
        "/cluster/members/{name}",
        Role::Admin,
        "Lets a member go.",
        || delete(members::remove),
    )
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/cluster/members/{name}/promote",
        Role::Admin,
        "Gives a learner its vote.",
        || post(members::promote),
    )
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/cluster/members/{name}/demote",
        Role::Admin,
        "Takes a voter its vote.",
        || post(members::demote),
    )
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/cluster/transfer",
        Role::Admin,
        "Has another voter lead.",
        || post(members::transfer),
    )
    .takes(&[Parameter::new("to", Kind::Text, "Its name; the closest one if it is not said.")])
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/cluster/shrink",
        Role::Admin,
        "Lets voters go until so many are left.",
        || post(members::shrink),
    )
    .takes(&[Parameter::new("voters", Kind::Positive, "How many voters stay.")])
    .answers(NOTHING),
    Endpoint::change(
        Method::POST,
        "/cluster/verify",
        Role::Admin,
        "Compares the states of all members.",
        || post(integrity::verify),
    )
    .asks(Asks::Node)
    .answers(&[Answer::new(200, Content::Json("Verification"), "What came of it.")]),
    Endpoint::change(
        Method::POST,
        "/cluster/refill",
        Role::Admin,
        "Has this very node fetch its state from another one.",
        || post(integrity::refill),
    )
    .asks(Asks::Node)
    .answers(NOTHING),
    Endpoint::get(
        "/backup",
        ADMIN,
        "The whole map of one moment; ETag has its revision. A body that breaks off is not ended in \
         the form of HTTP, nor in that of a backup.",
        || get(backup::backup),
    )
    .headers(Headers::None)
    .takes(READ_OPTIONS)
    .answers(&[Answer::new(200, Content::Bytes, "The backup.")]),
];

/// All endpoints.
pub(super) fn all() -> impl Iterator<Item = &'static Endpoint> {
    KEYS.iter().chain(&LASTING).chain(&CLUSTER).chain(&HEALTH)
}
