#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `config`, [`bulk`] (records as a bulk call, and its answer), `exporter`.

pub mod bulk;
mod config;
mod exporter;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Writes documents to Elasticsearch or OpenSearch.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "elasticsearch",
    aliases: &["opensearch"],
    about: "writes a document for each call to Elasticsearch or OpenSearch",
    fields: config::FIELDS,
    build: exporter::build,
};
