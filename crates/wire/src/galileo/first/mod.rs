//! The first generation: the plugin `mashape-analytics`, documented as `analytics`, which sends ALF 1.0.0.
//!
//! In reading order: [`mod@format`] (ALF 1.0.0 as written), [`encode`], [`exporter`] with its settings, [`migrate()`] (its settings
//! as those of the second generation).

pub mod encode;
pub mod exporter;
pub mod format;
mod migrate;

#[cfg(test)]
mod tests;

pub use migrate::migrate;
use weir_pipeline::ExporterKind;

/// Sends ALF 1.0.0.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "mashape-analytics",
    aliases: &["analytics"],
    about: "reports calls to a collector of Mashape Analytics, in ALF 1.0.0",
    fields: exporter::FIELDS,
    build: exporter::build,
};
