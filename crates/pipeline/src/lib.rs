//! How exchanges travel: one bounded door, processors in order, one journal, a cursor on it for every target, and a
//! ledger that balances.
//!
//! In reading order: [`exporter`], [`receiver`] (what plug-ins implement), [`record`] (the flat form of an exchange),
//! `ledger`, `intake`, `processors`, `journal`, `target`.

pub mod exporter;
pub mod file_format;
pub mod receiver;
pub mod record;
pub mod testing;

pub use exporter::{
    Batch, Built, CaptureWish, Delivered, ExportError, Exporter, ExporterKind, QueueSettings,
};
pub use file_format::{Imported, Importer, ImporterKind, Renderer, RendererKind};
pub use receiver::{Call, Credential, Decoded, Malformed, Mount, Outcome, Receiver, Rejected, Reply};
