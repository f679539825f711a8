#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`form`] (the lines as written and read), [`encode`], [`decode`].

pub mod decode;
pub mod encode;
pub mod form;
mod renderer;

#[cfg(test)]
mod tests;

use weir_pipeline::{ImporterKind, RendererKind};

use crate::parts::lines::LineImporter;

/// Longest line: an exchange with two large bodies in Base64.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Reads weir's own files.
pub const IMPORTER: ImporterKind = ImporterKind {
    name: "ndjson",
    extensions: &["ndjson"],
    open: || Box::new(LineImporter::new(|line, _| decode::line(line), MAX_LINE_BYTES)),
};

/// Writes weir's own files.
pub const RENDERER: RendererKind =
    RendererKind { name: "ndjson", media_type: "application/x-ndjson", open: || Box::new(renderer::Ndjson) };
