#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`mod@format`] (HAR as written), `split` (entries out of a stream), [`decode`], [`encode`],
//! `importer`, `renderer`.

pub mod decode;
pub mod encode;
pub mod format;
mod importer;
mod renderer;
mod split;

#[cfg(test)]
mod tests;

use weir_pipeline::{ImporterKind, RendererKind};

pub use importer::MAX_ENTRY_BYTES;

/// Reads HAR 1.1 and 1.2.
pub const IMPORTER: ImporterKind =
    ImporterKind { name: "har", extensions: &["har"], open: || Box::new(importer::Har::default()) };

/// Writes HAR 1.2.
pub const RENDERER: RendererKind =
    RendererKind { name: "har", media_type: "application/json", open: || Box::new(renderer::Har::default()) };
