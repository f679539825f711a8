#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: `config`, `dsn` (connection strings), `database` (connections, batches, once each), `layout` (tables and
//! statements), `records` (single calls), `aggregates`.

mod aggregates;
mod config;
mod database;
mod dsn;
mod layout;
mod records;

use weir_pipeline::ExporterKind;

/// Writes single calls to PostgreSQL.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "sql",
    aliases: &[],
    about: "writes calls to PostgreSQL, in the table of Tyk's pump",
    fields: config::FIELDS,
    build: records::build,
};

/// Writes aggregates to PostgreSQL.
pub const AGGREGATE: ExporterKind = ExporterKind {
    name: "sql_aggregate",
    aliases: &["sql-aggregate"],
    about: "adds calls up in PostgreSQL, in the table of Tyk's pump",
    fields: config::AGGREGATE_FIELDS,
    build: aggregates::build,
};
