#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`alf`] (the format as written), `encode`, `read` (the format as it is met), `decode`, `config`,
//! `exporter`, `receiver`; then [`first`], the generation before.

pub mod alf;
pub mod config;
pub mod decode;
pub mod encode;
pub mod exporter;
pub mod first;
mod read;
pub mod receiver;

#[cfg(test)]
mod tests;

use weir_kit::Kind;
use weir_pipeline::{ExporterKind, Receiver};

/// Sends ALF 1.1.0.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "galileo",
    aliases: &[],
    about: "reports calls to a Galileo collector, in ALF 1.1.0",
    fields: config::FIELDS,
    build: exporter::build,
};

/// Accepts ALF of every version.
pub const RECEIVER: Kind<dyn Receiver> =
    Kind { name: "galileo", fields: &[], build: |_| Ok(Box::new(receiver::Galileo)) };
