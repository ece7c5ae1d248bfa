//! `Collector` takes spans by OTLP over HTTP, in JSON.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use super::{Ended, Facts};

/// A collector that takes longer loses the spans: more wait behind them.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The numbers of OTLP for what a span is of.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// The numbers of OTLP for a span of which nothing is said, and for one that went wrong.
const UNSET: u8 = 0;
const ERROR: u8 = 2;

/// Where spans go.
pub(super) struct Collector {
    agent: Agent,
    url: String,
    resource: Value,
}

impl Collector {
    pub(super) fn new(url: String, node: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            // A collector stands beside the node, whatever proxy the environment names.
            .proxy(None)
            .build()
            .into();
        let resource = json!({ "attributes": [
            text("service.name", "kvraft-server"),
            text("service.instance.id", node),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ] });
        Self { agent, url, resource }
    }

    /// Tells spans. Blocks.
    pub(super) fn tell(&self, spans: &[Ended]) -> Result<()> {
        let document = self.document(spans).to_string();
        let answer = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .send(document)
            .context("the collector at otlp_endpoint does not answer")?;
        let status = answer.status();
        if !status.is_success() {
            bail!("the collector at otlp_endpoint answered {status}");
        }
        Ok(())
    }

    fn document(&self, spans: &[Ended]) -> Value {
        let scope = json!({ "name": "kvraft", "version": env!("CARGO_PKG_VERSION") });
        let spans: Vec<_> = spans.iter().map(span).collect();
        let scoped = json!([{ "scope": scope, "spans": spans }]);
        json!({ "resourceSpans": [{ "resource": self.resource, "scopeSpans": scoped }] })
    }
}

fn span(span: &Ended) -> Value {
    let begin = span.begin.duration_since(UNIX_EPOCH).unwrap_or_default();
    let facts = &span.facts;
    let asked = facts.status.is_some();
    let name = format!("{} {}", facts.method, facts.route);
    json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        // An empty one is none.
        "parentSpanId": span.parent.map_or_else(String::new, |id| format!("{id:016x}")),
        "name": if asked { &name } else { span.name },
        "kind": if asked { SERVER } else { INTERNAL },
        "startTimeUnixNano": begin.as_nanos().to_string(),
        "endTimeUnixNano": (begin + span.took).as_nanos().to_string(),
        "attributes": facts.status.map_or_else(Vec::new, |status| attributes(facts, status)),
        "status": { "code": if facts.status >= Some(500) { ERROR } else { UNSET } },
    })
}

fn attributes(facts: &Facts, status: u64) -> Vec<Value> {
    let status = json!({ "intValue": status.to_string() });
    vec![
        text("http.request.method", &facts.method),
        text("http.route", &facts.route),
        json!({ "key": "http.response.status_code", "value": status }),
    ]
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
