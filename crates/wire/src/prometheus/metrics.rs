//! Counters and histograms of records, and the text that Prometheus reads. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::parts::record;
use crate::splunk::event::key as hidden;
use crate::tyk::record::Record;

/// Names of the original's metrics.
pub const BASE: &[&str] = &[
    "tyk_http_status",
    "tyk_http_status_per_path",
    "tyk_http_status_per_key",
    "tyk_http_status_per_oauth_client",
    "tyk_latency",
];

/// Labels that a metric may have.
pub const LABELS: &[&str] = &[
    "host",
    "method",
    "path",
    "code",
    "response_code",
    "api_key",
    "key",
    "time_stamp",
    "api_version",
    "api_name",
    "api",
    "api_id",
    "org_id",
    "client_id",
    "oauth_id",
    "request_time",
    "latency_total",
    "latency_upstream",
    "latency_gateway",
    "ip_address",
    "alias",
    "mcp_method",
    "mcp_primitive_type",
    "mcp_primitive_name",
];

/// Most sets of label values of a metric. Calls with others count together, under `other`.
pub const MOST_SERIES: usize = 10_000;

/// A metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// What it is, for people.
    pub help: String,
    /// What it counts.
    pub kind: Kind,
    /// Its labels; histograms have `type` before them.
    pub labels: Vec<String>,
    /// How many characters of a key are shown; `None` for all.
    pub shown_of_keys: Option<usize>,
    /// Whether only MCP calls count.
    pub mcp_only: bool,
}

/// What a metric counts. Buckets are milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Calls.
    Counter,
    /// The time of calls.
    RequestTime(Vec<f64>),
    /// The three parts of the latency.
    Latency(Vec<f64>),
}

/// The metrics of the original (tyk-pump, section 4.7).
pub fn base(buckets: &[f64]) -> Vec<Spec> {
    let spec = |name: &str, help: &str, kind, labels: &[&str]| Spec {
        name: name.to_owned(),
        help: help.to_owned(),
        kind,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        shown_of_keys: None,
        mcp_only: false,
    };
    let counter = |name, help, labels: &[&str]| spec(name, help, Kind::Counter, labels);
    let latency = Kind::Latency(buckets.to_vec());
    vec![
        counter("tyk_http_status", "HTTP status codes per API", &["code", "api"]),
        counter(
            "tyk_http_status_per_path",
            "HTTP status codes per API path and method",
            &["code", "api", "path", "method"],
        ),
        counter("tyk_http_status_per_key", "HTTP status codes per API key", &["code", "key"]),
        counter(
            "tyk_http_status_per_oauth_client",
            "HTTP status codes per OAuth client",
            &["code", "client_id"],
        ),
        spec("tyk_latency", "milliseconds: total, of the upstream and of the gateway", latency, &["api"]),
    ]
}

/// Metrics with what they counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    track_all_paths: bool,
    metrics: Vec<(Spec, BTreeMap<Vec<String>, Series>)>,
}

/// What one set of label values counted.
#[derive(Debug, Clone, Default, PartialEq)]
struct Series {
    count: u64,
    sum: f64,
    /// Observations by bucket, each in the first that holds it; empty for a counter.
    buckets: Vec<u64>,
}

impl Metrics {
    /// Nothing is counted yet.
    pub fn new(specs: Vec<Spec>, track_all_paths: bool) -> Self {
        Self { track_all_paths, metrics: specs.into_iter().map(|spec| (spec, BTreeMap::new())).collect() }
    }

    /// Counts a record that stands for `weight` calls.
    pub fn add(&mut self, record: &Record<'_>, weight: u32) {
        let shows_path = self.track_all_paths || record.track_path;
        for (spec, series) in &mut self.metrics {
            if spec.mcp_only && !record.mcp.is_mcp {
                continue;
            }
            let labels = spec.labels.iter().map(|label| value(record, label, spec, shows_path));
            let labels: Vec<String> = labels.collect();
            match &spec.kind {
                Kind::Counter => slot(series, labels).count += u64::from(weight),
                Kind::RequestTime(ends) => {
                    observe(series, "total", &labels, record.request_time, weight, ends);
                }
                Kind::Latency(ends) => {
                    let latency = &record.latency;
                    observe(series, "total", &labels, record.request_time, weight, ends);
                    observe(series, "upstream", &labels, latency.upstream, weight, ends);
                    observe(series, "gateway", &labels, latency.gateway, weight, ends);
                }
            }
        }
    }

    /// The text that Prometheus reads, version 0.0.4.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (spec, series) in &self.metrics {
            let kind = if spec.kind == Kind::Counter { "counter" } else { "histogram" };
            let help = spec.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {0} {help}\n# TYPE {0} {kind}\n", spec.name);
            for (values, series) in series {
                write_series(&mut text, spec, values, series);
            }
        }
        text
    }
}

fn value(record: &Record<'_>, label: &str, spec: &Spec, shows_path: bool) -> String {
    match label {
        "path" if !shows_path => "unknown".to_owned(),
        "key" | "api_key" => hidden(&record.api_key, spec.shown_of_keys),
        "mcp_method" => record.mcp.method.to_string(),
        "mcp_primitive_type" => record.mcp.primitive_type.to_string(),
        "mcp_primitive_name" => record.mcp.primitive_name.to_string(),
        _ => record::text(record, label),
    }
}

fn observe(
    all: &mut BTreeMap<Vec<String>, Series>,
    kind: &str,
    labels: &[String],
    millis: i64,
    weight: u32,
    ends: &[f64],
) {
    let labels = std::iter::once(kind.to_owned()).chain(labels.iter().cloned()).collect();
    let (series, value) = (slot(all, labels), millis as f64);
    series.count += u64::from(weight);
    series.sum += value * f64::from(weight);
    series.buckets.resize(ends.len(), 0);
    let bucket = ends.partition_point(|end| *end < value);
    if let Some(count) = series.buckets.get_mut(bucket) {
        *count += u64::from(weight);
    }
}

fn slot(all: &mut BTreeMap<Vec<String>, Series>, mut labels: Vec<String>) -> &mut Series {
    if all.len() >= MOST_SERIES && !all.contains_key(&labels) {
        labels.iter_mut().for_each(|label| *label = "other".to_owned());
    }
    all.entry(labels).or_default()
}

fn write_series(text: &mut String, spec: &Spec, values: &[String], series: &Series) {
    let (name, ends) = match &spec.kind {
        Kind::Counter => {
            let _ = writeln!(text, "{}{} {}", spec.name, labels(spec, values, None), series.count);
            return;
        }
        Kind::RequestTime(ends) | Kind::Latency(ends) => (&spec.name, ends),
    };
    let mut below = 0;
    for (end, count) in ends.iter().zip(&series.buckets) {
        below += count;
        let _ = writeln!(text, "{name}_bucket{} {below}", labels(spec, values, Some(&end.to_string())));
    }
    let _ = writeln!(text, "{name}_bucket{} {}", labels(spec, values, Some("+Inf")), series.count);
    let _ = writeln!(text, "{name}_sum{} {}", labels(spec, values, None), series.sum);
    let _ = writeln!(text, "{name}_count{} {}", labels(spec, values, None), series.count);
}

fn labels(spec: &Spec, values: &[String], end: Option<&str>) -> String {
    let kind = (spec.kind != Kind::Counter).then_some("type");
    let names = kind.into_iter().chain(spec.labels.iter().map(String::as_str)).chain(["le"]);
    let escaped =
        values.iter().map(|value| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    let shown = names.zip(escaped.chain(end.map(ToOwned::to_owned)));
    let shown: Vec<String> = shown.map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    if shown.is_empty() { String::new() } else { format!("{{{}}}", shown.join(",")) }
}
