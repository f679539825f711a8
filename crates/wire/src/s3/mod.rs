#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`sign`] (a request that the store believes), [`parquet`], `exporter`.

mod exporter;
pub mod parquet;
pub mod sign;

#[cfg(test)]
mod tests;

use weir_pipeline::ExporterKind;

/// Puts objects into a bucket.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "s3",
    aliases: &[],
    about: "puts batches of calls as objects into a bucket of S3 or a store like it",
    fields: exporter::FIELDS,
    build: exporter::build,
};
