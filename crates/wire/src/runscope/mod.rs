#![doc = include_str!("README.md")]
//!
//! ---
//! In reading order: [`message`] (the format as written), [`encode`], `read` (the format as it is met), [`decode`],
//! [`config`], [`exporter`]; `receiver` with `search` and `view`.

pub mod config;
pub mod decode;
pub mod encode;
pub mod exporter;
pub mod message;
mod read;
pub mod receiver;
mod search;
mod view;

#[cfg(test)]
mod tests;

use weir_kit::Kind;
use weir_pipeline::{ExporterKind, Receiver};

/// Sends messages to a bucket.
pub const EXPORTER: ExporterKind = ExporterKind {
    name: "runscope",
    aliases: &[],
    about: "reports calls to a bucket of Runscope's Traffic Inspector, or of weir",
    fields: config::FIELDS,
    build: exporter::build,
};

/// Takes messages and hands them out again.
pub const RECEIVER: Kind<dyn Receiver> =
    Kind { name: "runscope", fields: &[], build: |_| Ok(Box::new(receiver::Runscope)) };
