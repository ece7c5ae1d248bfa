//! `Collector` takes spans by OTLP over HTTP, in JSON.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;

use super::Ended;

/// A collector that takes longer loses the spans: more wait behind them.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The numbers of OTLP for what a span is of.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// The number of OTLP for a span that went wrong.
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
    let mut told = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": INTERNAL,
        "startTimeUnixNano": begin.as_nanos().to_string(),
        "endTimeUnixNano": (begin + span.took).as_nanos().to_string(),
    });
    if let Some(parent) = span.parent {
        told["parentSpanId"] = format!("{parent:016x}").into();
    }
    if let Some(status) = facts.status {
        told["name"] = format!("{} {}", facts.method, facts.route).into();
        told["kind"] = SERVER.into();
        told["attributes"] = json!([
            text("http.request.method", &facts.method),
            text("http.route", &facts.route),
            json!({ "key": "http.response.status_code", "value": { "intValue": status.to_string() } }),
        ]);
        if status >= 500 {
            told["status"] = json!({ "code": ERROR });
        }
    }
    told
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
