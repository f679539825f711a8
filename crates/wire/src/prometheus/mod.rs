#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `config`, [`metrics`] (counters and histograms, and how they are written), `listener`, `exporter`.

mod config;
mod exporter;
mod listener;
pub mod metrics;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Shows metrics to Prometheus.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "prometheus",
    aliases: &[],
    about: "shows counters and histograms of calls to Prometheus",
    fields: config::FIELDS,
    build: exporter::build,
};
