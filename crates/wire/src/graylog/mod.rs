#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`gelf`] (a record as a message, a message in chunks), `exporter`.

mod exporter;
pub mod gelf;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Sends GELF messages to Graylog.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "graylog",
    aliases: &[],
    about: "sends a GELF message for each call to Graylog",
    fields: exporter::FIELDS,
    build: exporter::build,
};
