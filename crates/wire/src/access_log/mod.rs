#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`clf`] (one line of text), [`json`] (one line of JSON).

pub mod clf;
pub mod json;

#[cfg(test)]
mod tests;

use weir_pipeline::{Importer, ImporterKind};

use crate::parts::lines::{LineImporter, ReadLine};

/// Longest line; a longer one is counted as rejected.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

fn lines(read: ReadLine) -> Box<dyn Importer> {
    Box::new(LineImporter::new(read, MAX_LINE_BYTES))
}

/// Reads Apache's and nginx's `combined` format.
pub const COMBINED: ImporterKind =
    ImporterKind { name: "combined", extensions: &["log"], open: || lines(clf::read_combined) };

/// Reads the Common Log Format.
pub const COMMON: ImporterKind =
    ImporterKind { name: "common", extensions: &["clf"], open: || lines(clf::read_common) };

/// Reads one JSON object per line.
pub const JSON: ImporterKind =
    ImporterKind { name: "json", extensions: &["json", "jsonl"], open: || lines(json::read) };
