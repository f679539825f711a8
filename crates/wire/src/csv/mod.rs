#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`row`] (a record as a line), `file` (appending so that nothing is torn), `exporter`.

mod exporter;
mod file;
pub mod row;

use weir_pipeline::ExporterKind;

/// Writes files of comma-separated values.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "csv",
    aliases: &[],
    about: "writes calls to CSV files in a folder",
    fields: exporter::FIELDS,
    build: exporter::build,
};
