//! The lists of what there is. Settings, the Admin API, the collector, `weir import` and `weir export` walk them.
//!
//! To add a protocol: a folder beside this file, its `mod` line in `lib.rs`, its line here.

use weir_kit::Kind;
use weir_pipeline::{ExporterKind, ImporterKind, Receiver, RendererKind};

use crate::galileo;

/// Everything exchanges can be sent to, sorted by name.
pub static EXPORTERS: &[ExporterKind] = &[galileo::EXPORTER];

/// Everything that accepts the reports of others, sorted by name.
pub static RECEIVERS: &[Kind<dyn Receiver>] = &[galileo::RECEIVER];

/// Every file format that can be read, sorted by name.
pub static IMPORTERS: &[ImporterKind] = &[];

/// Every file format that can be written, sorted by name.
pub static RENDERERS: &[RendererKind] = &[];

/// The exporter with this name or alias.
pub fn exporter(name: &str) -> Option<&'static ExporterKind> {
    EXPORTERS.iter().find(|kind| kind.name == name || kind.aliases.contains(&name))
}

/// The importer with this name.
pub fn importer(name: &str) -> Option<&'static ImporterKind> {
    IMPORTERS.iter().find(|kind| kind.name == name)
}

/// The renderer with this name.
pub fn renderer(name: &str) -> Option<&'static RendererKind> {
    RENDERERS.iter().find(|kind| kind.name == name)
}
