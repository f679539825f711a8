#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `config`, [`message`] (a record as a message), `exporter`.

mod config;
mod exporter;
pub mod message;

use weir_pipeline::ExporterKind;

/// Writes messages to a topic of Kafka.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "kafka",
    aliases: &[],
    about: "writes a message for each call to a topic of Kafka",
    fields: config::FIELDS,
    build: exporter::build,
};
