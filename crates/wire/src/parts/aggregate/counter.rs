//! What is counted of the records with one label (tyk-pump, section 5.3).

use std::collections::BTreeMap;

use super::Sketch;
use crate::tyk::record::{Record, Time};

/// The status of a record of network statistics.
const NETWORK: i64 = -1;

/// What is counted. Times are milliseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counter {
    /// Calls.
    pub hits: i64,
    /// Calls answered with 200 to 299.
    pub success: i64,
    /// Calls answered with 400 or more.
    pub error: i64,
    /// Sum of the times of the calls.
    pub total_request_time: i64,
    /// Sum of the whole latency.
    pub total_latency: i64,
    /// Longest latency.
    pub max_latency: i64,
    /// Shortest latency of calls that did not fail, or of all when all failed.
    pub min_latency: i64,
    /// Sum of the upstream's latency.
    pub total_upstream_latency: i64,
    /// Longest latency of the upstream.
    pub max_upstream_latency: i64,
    /// Shortest latency of the upstream, as for `min_latency`.
    pub min_upstream_latency: i64,
    /// Connections that were open, summed over reports.
    pub open_connections: i64,
    /// Connections that were closed.
    pub closed_connections: i64,
    /// Bytes received.
    pub bytes_in: i64,
    /// Bytes sent.
    pub bytes_out: i64,
    /// Time of the last record.
    pub last_time: Time,
    /// The label's value for machines.
    pub identifier: String,
    /// The label's value for people.
    pub human_identifier: String,
    /// Failed calls by status.
    pub error_map: BTreeMap<i64, i64>,
    /// Distribution of the whole latency.
    pub latencies: Sketch,
}

impl Counter {
    /// Counts a record that stands for `weight` calls.
    pub fn add(&mut self, record: &Record<'_>, weight: u32) {
        self.last_time = self.last_time.max(record.time_stamp);
        if record.response_code == NETWORK {
            self.add_network(record);
            return;
        }
        let weight = i64::from(weight);
        let failed = record.response_code >= 400;
        self.min_and_max(record, failed);
        self.hits += weight;
        if (200..300).contains(&record.response_code) {
            self.success += weight;
        }
        if failed {
            self.error += weight;
            *self.error_map.entry(record.response_code).or_default() += weight;
        }
        self.total_request_time += record.request_time.saturating_mul(weight);
        self.total_latency += record.latency.total.saturating_mul(weight);
        self.total_upstream_latency += record.latency.upstream.saturating_mul(weight);
        self.latencies.add(record.latency.total, weight);
    }

    /// Failed calls are often short, so they do not lower the minima once a call succeeded; a first success sets them.
    fn min_and_max(&mut self, record: &Record<'_>, failed: bool) {
        let latency = &record.latency;
        let only_failures = self.hits == self.error;
        let lowers = |least: i64, value: i64| match (self.hits, only_failures, failed) {
            (0, _, _) | (_, true, false) => value,
            (_, true, true) | (_, false, false) => least.min(value),
            (_, false, true) => least,
        };
        self.min_latency = lowers(self.min_latency, latency.total);
        self.min_upstream_latency = lowers(self.min_upstream_latency, latency.upstream);
        self.max_latency = self.max_latency.max(latency.total);
        self.max_upstream_latency = self.max_upstream_latency.max(latency.upstream);
    }

    fn add_network(&mut self, record: &Record<'_>) {
        let network = &record.network;
        self.open_connections += network.open_connections;
        self.closed_connections += network.closed_connections;
        self.bytes_in += network.bytes_in;
        self.bytes_out += network.bytes_out;
    }

    /// Mean time of a call.
    pub fn request_time(&self) -> f64 {
        self.mean(self.total_request_time)
    }

    /// Mean latency.
    pub fn latency(&self) -> f64 {
        self.mean(self.total_latency)
    }

    /// Mean latency of the upstream.
    pub fn upstream_latency(&self) -> f64 {
        self.mean(self.total_upstream_latency)
    }

    fn mean(&self, total: i64) -> f64 {
        if self.hits == 0 { 0.0 } else { total as f64 / self.hits as f64 }
    }
}
