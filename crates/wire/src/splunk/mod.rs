#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`event`] (a record as an event), `exporter`.

pub mod event;
mod exporter;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Sends events to Splunk's HTTP Event Collector.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "splunk",
    aliases: &[],
    about: "sends an event for each call to Splunk's HTTP Event Collector",
    fields: exporter::FIELDS,
    build: exporter::build,
};
