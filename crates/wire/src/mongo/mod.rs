#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `config`, `database` (the client, and what errors mean), [`document`] (a record as a document), `records`,
//! [`update`] (aggregates as changes of a document), `aggregates`.

mod aggregates;
mod config;
mod database;
pub mod document;
mod records;
pub mod update;

use weir_pipeline::ExporterKind;

/// Writes single calls to one collection.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "mongo",
    aliases: &[],
    about: "writes calls to MongoDB, as documents of Tyk's pump",
    fields: config::FIELDS,
    build: records::build,
};

/// Writes single calls to a collection of their organisation.
pub const SELECTIVE: ExporterKind = ExporterKind {
    name: "mongo-pump-selective",
    aliases: &[],
    about: "writes calls to MongoDB, to a collection for each organisation of Tyk's",
    fields: config::SELECTIVE_FIELDS,
    build: records::build_selective,
};

/// Writes aggregates.
pub const AGGREGATE: ExporterKind = ExporterKind {
    name: "mongo-pump-aggregate",
    aliases: &[],
    about: "adds calls up in MongoDB, in the documents of Tyk's pump",
    fields: config::AGGREGATE_FIELDS,
    build: aggregates::build,
};
