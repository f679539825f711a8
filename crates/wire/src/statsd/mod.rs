#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `plain` (StatsD), `dog` (DogStatsD).

mod dog;
mod plain;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Sends timings to a StatsD server.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "statsd",
    aliases: &[],
    about: "sends the times of calls as metrics to a StatsD server",
    fields: plain::FIELDS,
    build: plain::build,
};

/// Sends histograms with tags to a Datadog agent.
pub const DOGSTATSD: ExporterKind = ExporterKind {
    name: "dogstatsd",
    aliases: &[],
    about: "sends the times of calls as metrics with tags to a Datadog agent",
    fields: dog::FIELDS,
    build: dog::build,
};

/// The fields that are times (tyk-pump, section 4.8).
const TIMINGS: &[&str] = &["request_time", "latency_total", "latency_upstream", "latency_gateway"];
