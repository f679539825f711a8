#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`message`] (a record as a message), `exporter`.

mod exporter;
pub mod message;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Sends messages to a syslog server.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "syslog",
    aliases: &[],
    about: "sends a syslog message for each call",
    fields: exporter::FIELDS,
    build: exporter::build,
};
